#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# hwclock(8) reads and sets a clock that rtc.py plays.

# ktap_test_result calls the functions.
# shellcheck disable=SC2317

. "$(dirname "$(readlink -f "$0")")/channel.sh"

clock() {
	timeout 30 hwclock --rtc="$device" --utc --noadjfile "$@" 2>&1
}

no_clock() {
	local status

	clock --show > /dev/null
	status=$?
	[ "$status" != 0 ] && [ "$status" != 124 ] # timeout(1): hwclock waits
}

# The clock has been set to this time since the test began. An interrupt that does not
# wake hwclock makes it ten seconds late.
shows() {
	local shown

	shown=$(clock --show)
	ktap_print_msg "$shown"
	shown=$(date -d "$shown" +%s)
	[ "$shown" -ge "$1" ] && [ "$shown" -le $(($1 + SECONDS)) ]
}

reads() {
	shows "$start"
}

ticks() {
	clock --show --verbose > "$scratch/said"
	ktap_print_msg "$(grep tick "$scratch/said")"
	grep -q "got clock tick" "$scratch/said"
}

# The kernel's clock, to the second
systohc() {
	local before after shown

	clock --systohc
	before=$(date +%s)
	shown=$(date -d "$(clock --show)" +%s)
	after=$(date +%s)
	ktap_print_msg "$before $shown $after"
	[ "$shown" -ge $((before - 1)) ] && [ "$shown" -le $((after + 1)) ]
}

sets() {
	clock --set --date "2030-01-02 03:04:05" && shows "$(date -d "2030-01-02 03:04:05" +%s)"
}

cases() {
	make_channel rtc records
	check no_clock_without_a_peer no_clock
	start=$(date -d "2001-02-03 04:05:06" +%s)
	play rtc.py "$start"
	check reads
	check ticks
	check sets
	check sets_from_system_clock systohc
	check player_has_no_errors
	kill "$player"
	wait "$player" 2> /dev/null
	players=
	check no_clock_when_the_peer_is_gone no_clock
}

export TZ=UTC LC_ALL=C
need python3 hwclock timeout mkfifo
run_on_drivers 7 cases
