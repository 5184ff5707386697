#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# wdctl(8) queries and sets a watchdog that watchdog.py plays.

# ktap_test_result calls the functions.
# shellcheck disable=SC2317

. "$(dirname "$(readlink -f "$0")")/channel.sh"

# The values of the device contain each of these.
shows() {
	local shown value

	shown=$(timeout 30 wdctl --oneline "$device" 2>&1)
	ktap_print_msg "$shown"
	for value; do
		[[ $shown == *" $value"* ]] || return 1
	done
}

# wdctl stops the watchdog all the same, and that waits for a peer to read it.
nothing_without_a_peer() {
	shows 'IDENTITY=""'
}

queries() {
	shows 'IDENTITY="Simulated watchdog"' 'TIMEOUT="60"' 'TIMELEFT="59"' 'MAGICCLOSE="0"'
}

sets_timeout() {
	timeout 30 wdctl --settimeout 77 "$device" > /dev/null &&
		shows 'TIMEOUT="77"' 'TIMELEFT="76"'
}

sets_pretimeout() {
	timeout 30 wdctl --setpretimeout 7 "$device" > /dev/null && shows 'PRETIMEOUT="7"'
}

# It begins with what was left in the queue.
told() {
	local word said=

	exec 8> "$device"
	echo -n end >&8
	while read -t 20 -r word <&9 && [ "$word" != "data end" ]; do
		said="$said$word,"
	done
	exec 8>&-
	ktap_print_msg "$said"
	[[ $said == "data V,open,ioctl 0,"*"data V,close,open," ]]
}

cases() {
	make_channel watchdog records
	check nothing_without_a_peer
	play watchdog.py
	check queries
	check sets_timeout
	case $(wdctl --version) in
	*" 2.38"*) ktap_test_skip "$driver sets_pretimeout, this wdctl ignores the option" ;;
	*) check sets_pretimeout ;;
	esac
	check player_saw_it_all told
	check player_has_no_errors
}

need python3 wdctl timeout mkfifo
run_on_drivers 6 cases
