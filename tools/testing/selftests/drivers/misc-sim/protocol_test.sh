#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A protocol of requests and answers, with a timeout and retries, of which the shell
# plays the hardware.

# ktap_test_result calls the functions.
# shellcheck disable=SC2317

. "$(dirname "$(readlink -f "$0")")/channel.sh"

# ask REQUEST SECONDS...: the program under test, which asks, and asks again if there is
# no answer in time.
ask() {
	local answer request=$1

	exec 3<> "$device" || return 2
	shift
	for seconds; do
		echo "$request" >&3 || return 2
		if read -t "$seconds" -r answer <&3; then
			echo "$answer in $seconds"
			return 0
		fi
	done
	return 1
}

# Below, 4 is the peer.

expect_request() {
	local request

	read -t 20 -r request <&4 && ktap_print_msg "$request" && [ "$request" = "$1" ]
}

expect_result() {
	wait "$program"
	[ "$?" = "$1" ] && [ "$(cat "$scratch/answer")" = "$2" ]
}

start() {
	ask "$@" > "$scratch/answer" 2> /dev/null &
	program=$!
}

answers() {
	start "temperature?" 20
	expect_request "temperature?" && echo 21 >&4 && expect_result 0 "21 in 20"
}

# The answer comes in three pieces.
pieces() {
	start "temperature?" 20
	expect_request "temperature?" && echo -n 2 >&4 && echo -n 1 >&4 && echo >&4 &&
		expect_result 0 "21 in 20"
}

# The first request is lost.
retries() {
	start "humidity?" 0.5 20
	expect_request "humidity?" && expect_request "humidity?" && echo 40 >&4 &&
		expect_result 0 "40 in 20"
}

gives_up() {
	start "humidity?" 0.2 0.3 0.4
	expect_request "humidity?" && expect_request "humidity?" && expect_request "humidity?" &&
		expect_result 1 ""
}

# It does not wait for the timeout.
unplugged() {
	local begun=$SECONDS

	start "pressure?" 20 20
	expect_request "pressure?" && unplug_channel protocol && expect_result 2 "" &&
		[ $((SECONDS - begun)) -lt 20 ]
}

cases() {
	make_channel protocol raw
	exec 4<> "$peer"
	check answers
	check answer_in_pieces pieces
	check retries
	check gives_up
	check unplugged
}

need
run_on_drivers 5 cases
