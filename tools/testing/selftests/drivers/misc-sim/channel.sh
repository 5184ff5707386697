# SPDX-License-Identifier: GPL-2.0-only
#
# Channels in the tests that are scripts. They are named ksft-..., so that those of
# a test that was killed can be found and removed.

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/../../kselftest/ktap_helpers.sh"

driver=misc-sim
configfs=/sys/kernel/config/$driver
scratch=$(mktemp -d)
players=

remove_channels() {
	for dir in "$configfs"/ksft-*; do
		[ ! -d "$dir" ] || rmdir "$dir"
	done
}

clean_up() {
	remove_channels
	for player in $players; do
		kill "$player" 2> /dev/null
	done
	wait
	rm -rf "$scratch"
}

trap clean_up EXIT
trap 'exit 1' INT TERM

skip_all() {
	ktap_skip_all "$*"
	exit "$KSFT_SKIP"
}

# Load the driver, or skip the test if it is not there. The rest are programs that the
# test cannot do without.
need() {
	ktap_print_header
	[ "$(id -u)" = 0 ] || skip_all "not root"
	if [ ! -e "/dev/$driver-0" ]; then
		modinfo "$driver" > /dev/null 2>&1 || skip_all "no driver $driver"
		modprobe "$driver" || ktap_exit_fail_msg "$driver does not load"
	fi
	[ -d "$configfs" ] || skip_all "no configfs"
	for program; do
		command -v "$program" > /dev/null || skip_all "no $program"
	done
	remove_channels
}

# make_channel NAME PEER: create /dev/misc-sim-ksft-NAME, $device, whose peer, $peer, is
# raw or speaks records
make_channel() {
	local dir=$configfs/ksft-$1

	device=/dev/$driver-ksft-$1
	peer=$device.peer
	if ! { mkdir "$dir" && echo channel > "$dir/kind" && echo "$2" > "$dir/peer" &&
	       echo 1 > "$dir/live"; }; then
		ktap_exit_fail_msg "no $device"
	fi
}

unplug_channel() {
	rmdir "$configfs/ksft-$1"
}

# play SCRIPT ARGUMENT...: play the hardware until the channel is unplugged. Returns when
# the script has said that it is ready.
play() {
	local script=$1 word
	shift
	mkfifo "$scratch/ready" || ktap_exit_fail_msg "no fifo"
	python3 "$here/$script" "$peer" "$@" > "$scratch/ready" 2> "$scratch/errors" &
	player=$!
	players="$players $player"
	exec 9< "$scratch/ready"
	if ! read -t 20 -r word <&9 || [ "$word" != ready ]; then
		ktap_exit_fail_msg "$script does not start"
	fi
	rm "$scratch/ready"
}

player_has_no_errors() {
	[ ! -s "$scratch/errors" ]
}
