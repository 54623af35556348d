# steps.sh: how the demos tell what they do. Source it after lib.sh.
#
#   step TEXT           begins a step; its time is printed when the next begins
#   check TEXT COMMAND  one thing that must hold: prints ok or FAIL, and is counted
#   look_at COMMAND     what to print when a step fails; the last one given wins
#
# A command that fails ends the demo, after what there is to look at.

steps_passed=0 steps_failed=0 step_text='' step_began=0 look_at_command=:

now() { echo "${EPOCHREALTIME/[.,]/}"; }
since() { printf '%d.%d s' $((($(now) - $1) / 1000000)) $((($(now) - $1) / 100000 % 10)); }

step() {
	[ -z "$step_text" ] || printf '    (%s)\n' "$(since "$step_began")"
	step_text=$* step_began=$(now)
	printf '\n==> %s\n' "$*"
}

check() {
	local text=$1 began output file
	shift
	began=$(now)
	file=$(mktemp) # not $(...): what the command sets must stay
	if "$@" >"$file" 2>&1; then
		output=$(<"$file")
		rm -f "$file"
		steps_passed=$((steps_passed + 1))
		printf '    ok   %s (%s)%s\n' "$text" "$(since "$began")" "${output:+: $(tail -n 1 <<<"$output" | cut -c1-160)}"
	else
		steps_failed=$((steps_failed + 1))
		printf '    FAIL %s (%s)\n' "$text" "$(since "$began")"
		tail -n 40 "$file"
		rm -f "$file"
		return 1
	fi
}

look_at() { look_at_command=$*; }

# finish STATUS: to be called on exit. Prints what to look at after a failure, and the counts.
finish() {
	local status=$1
	if [ "$status" != 0 ]; then
		[ $steps_failed -gt 0 ] || steps_failed=1
		printf '\nFAILED in: %s (after %s)\n' "${step_text:-the beginning}" "$(since "${step_began:-0}")"
		$look_at_command 2>&1 | sed 's/^/    | /' || :
	else
		step_text=''
	fi
	[ -z "${DITTOFS_TEST_COUNTS:-}" ] || echo "$steps_passed $steps_failed 0" >>"$DITTOFS_TEST_COUNTS"
	printf '\n%d checks passed, %d failed, %d s\n' $steps_passed $steps_failed $SECONDS
}
