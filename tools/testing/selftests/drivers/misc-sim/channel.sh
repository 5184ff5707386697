# SPDX-License-Identifier: GPL-2.0-only
#
# Channels in the tests that are scripts, which run on each driver. Channels are named
# ksft-..., so that those of a test that was killed can be found and removed.

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/../../kselftest/ktap_helpers.sh"

drivers="misc-sim rmisc-sim"
scratch=$(mktemp -d)
players=

remove_channels() {
	for dir in /sys/kernel/config/"$driver"/ksft-*; do
		[ ! -d "$dir" ] || rmdir "$dir"
	done
}

stop_players() {
	remove_channels
	for player in $players; do
		kill "$player" 2> /dev/null
	done
	wait
	players=
}

clean_up() {
	stop_players
	rm -rf "$scratch"
}

trap clean_up EXIT
trap 'exit 1' INT TERM

skip_all() {
	ktap_skip_all "$*"
	exit "$KSFT_SKIP"
}

# Skip the test without the programs that it needs.
need() {
	ktap_print_header
	[ "$(id -u)" = 0 ] || skip_all "not root"
	for program; do
		command -v "$program" > /dev/null || skip_all "no $program"
	done
}

# Load the driver. Returns false if there is none.
load_driver() {
	[ ! -e "/dev/$driver-0" ] || return 0
	modinfo "$driver" > /dev/null 2>&1 || return 1
	modprobe "$driver" || ktap_exit_fail_msg "$driver does not load"
}

# run_on_drivers COUNT FUNCTION: FUNCTION runs COUNT cases on each driver.
run_on_drivers() {
	local count=$1 tested=

	ktap_set_plan $(($(wc -w <<< "$drivers") * count))
	for driver in $drivers; do
		if load_driver; then
			tested=1
			remove_channels
			"$2"
			stop_players
		else
			for ((i = 0; i < count; i++)); do
				ktap_test_skip "$i, no driver $driver"
			done
		fi
	done
	[ "$tested" ] || exit "$KSFT_SKIP"
	ktap_finished
}

# check NAME [FUNCTION]: the case passes if the function of the same name, or FUNCTION,
# succeeds.
check() {
	ktap_test_result "$driver $1" "${2-$1}"
}

# make_channel NAME PEER: create a channel, $device, whose peer, $peer, is raw or speaks
# records
make_channel() {
	local dir=/sys/kernel/config/$driver/ksft-$1

	device=/dev/$driver-ksft-$1
	peer=$device.peer
	if ! { mkdir "$dir" && echo channel > "$dir/kind" && echo "$2" > "$dir/peer" &&
	       echo 1 > "$dir/live"; }; then
		ktap_exit_fail_msg "no $device"
	fi
}

unplug_channel() {
	rmdir "/sys/kernel/config/$driver/ksft-$1"
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
