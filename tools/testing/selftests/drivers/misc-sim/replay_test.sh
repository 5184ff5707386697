#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# cat(1) records what a program writes to a device, and replay.py plays it back.

# ktap_test_result calls the functions.
# shellcheck disable=SC2317

. "$(dirname "$(readlink -f "$0")")/channel.sh"

log=$scratch/log

program() {
	echo -n one > "$device"
	(echo -n two && echo -n three) > "$device"
}

# Seven records of 48 bytes, three of which are followed by data
records() {
	local size=$((7 * 48 + 3 + 3 + 5)) deadline=$((SECONDS + 20))

	exec 4< "$peer"
	cat <&4 > "$log" 2> /dev/null &
	exec 4<&-
	program
	while [ "$(stat -c %s "$log")" -lt "$size" ] && [ "$SECONDS" -lt "$deadline" ]; do
		:
	done
	unplug_channel program
	wait $!
	ktap_print_msg "$(stat -c %s "$log") bytes"
	[ "$(stat -c %s "$log")" = "$size" ]
}

replays() {
	local did

	did=$(python3 "$here/replay.py" "$peer" "$log" | tr '\n' ,)
	ktap_print_msg "$did"
	[ "$did" = "open b'',data b'one',close b'',open b'',data b'two',data b'three',close b''," ]
}

# One read for each write of the program
same_messages() {
	local message

	exec 3< "$device"
	for message in one two three; do
		[ "$(timeout 20 dd bs=4096 count=1 status=none <&3)" = "$message" ] || return 1
	done
}

cases() {
	make_channel program records
	check records
	make_channel device records
	check replays
	check same_messages
}

need python3 timeout dd stat tr
run_on_drivers 3 cases
