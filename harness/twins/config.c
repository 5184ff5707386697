// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations in configfs: instances come, change and go
 */

#include <sys/stat.h>
#include "twins.h"

/* The two greetings differ, so they show only where the capacity cuts them to "Hello from ". */
static void own_message(struct side *s, int i)
{
	if (s->greets[i] && set_text(s, instance[i], "message", "no greeting\n") > 0)
		s->greets[i] = false;
}

void op_make(struct side *s)
{
	static const char *const quiet[] = { "fail_open/verbose", "fail_read/verbose",
					     "fail_write/verbose", "fail_ioctl/verbose",
					     "short_io/verbose" };
	int i = number < INSTANCES ? number : rnd(s, INSTANCES);
	const char *name = instance[i], *value;
	char message[32];

	rmdir(config_path(s, name, ""));
	say(s, "(%s)", name);
	result(s, mkdir(config_path(s, name, ""), 0755));
	for (unsigned int j = 0; j < ARRAY_SIZE(quiet); j++)
		write_file(config_path(s, name, quiet[j]), "0", 1);
	if (unlike && s->rust)
		write_file(config_path(s, name, "short_io/space"), "100000", 6);

	value = one_in(s, 3) ? "4096" : PICK(s, "1", "5", "20", "21", "22", "5000", "100000");
	if (strcmp(value, "4096"))
		set_text(s, name, "capacity", value);
	s->greets[i] = true;
	if (atoi(value) > 11 || one_in(s, 2)) {
		some_message(s, message, sizeof(message));
		set(s, name, "message", message, 1 + rnd(s, atoi(value) < 32 ? atoi(value) : 32));
		s->greets[i] = false;
	}
	if (one_in(s, 3))
		set_text(s, name, "kind", PICK(s, "stream", "channel"));
	if (one_in(s, 2))
		set_text(s, name, "peer", "records");
	if (one_in(s, 6))
		set_text(s, name, "latency_us", PICK(s, "100", "200", "500"));
	set_text(s, name, "live", "1");
}

void op_set(struct side *s)
{
	static const struct { const char *attribute, *value[16]; } table[] = {
		{ "capacity", { "1", "5", "20", "21", "22", "5000", "0", "-1", "1048576", "1048577",
				"0x10", "010" } },
		{ "kind", { "message", "stream", "channel", "channel", "Stream", "streams", "mess", "" } },
		{ "peer", { "raw", "records", "records", "record", "Raw", "" } },
		{ "period_us", { "0", "1", "999", "2000000000", "3600000000", "3600000001", "-1" } },
		{ "latency_us", { "0", "0", "0", "100", "200", "500", "60000001", "-1" } },
		{ "errno", { "1", "2", "5", "10", "11", "22", "28", "116", "511", "512", "0", "-5",
			     "EIO" } },
		{ "mode", { "0600", "600", "0", "0777", "01000", "8", "0444", "1", "-1" } },
		{ "live", { "1", "y", "Y", "on", "oN", "true", "o", "2", "0", "n", "N", "off", "of",
			    "F", "" } },
		{ "message", { "" } },
	};
	static const struct { const char *text; size_t length; } end[] = {
		{ "", 0 }, { "", 0 }, { "", 0 }, { "", 0 }, { "\n", 1 }, { "\n", 1 }, { "\n", 1 },
		{ " ", 1 }, { "x", 1 }, { "\n\n", 2 }, { "\0x", 2 }, { "\n\0x", 3 },
	};
	int i = rnd(s, INSTANCES), which = rnd(s, ARRAY_SIZE(table)), n = 0;
	int last = rnd(s, ARRAY_SIZE(end));
	const char *attribute = table[which].attribute;
	char data[2 * PAGE];
	size_t length;

	say(s, "(%s)", instance[i]);
	if (!strcmp(attribute, "message")) {
		length = one_in(s, 8) ? PICK(s, 0u, 4094, 4095, 4096, 5000) : rnd(s, 30);
		some_message(s, data, length);
		if (set(s, instance[i], attribute, data, length) > 0)
			s->greets[i] = false;
	} else {
		while (table[which].value[n])
			n++;
		length = sprintf(data, "%s%s", one_in(s, 16) ? PICK(s, " ", "+", "\n") : "",
				 table[which].value[rnd(s, n)]);
		memcpy(data + length, end[last].text, end[last].length);
		if (!strcmp(attribute, "capacity"))
			own_message(s, i);
		set(s, instance[i], attribute, data, length + end[last].length);
	}
	say_file(s, attribute, config_path(s, instance[i], attribute));
}

/* Faults that fire each time, or each so many times: never by chance. */
void op_fault(struct side *s)
{
	const char *group = PICK(s, "fail_open", "fail_read", "fail_write", "fail_ioctl", "short_io",
				 "short_io");
	const char *name = instance[rnd(s, INSTANCES)];
	const char *value[] = { "probability", one_in(s, 4) ? "0" : "100",
				"times", PICK(s, "1", "2", "3", "3", "0", "-1", "x"),
				"interval", PICK(s, "0", "1", "2", "3"),
				"space", PICK(s, "0", "0", "0", "1", "10", "100"),
				"task-filter", one_in(s, 16) ? "Y" : "N" };
	char attribute[64];

	say(s, "(%s)", name);
	for (unsigned int i = 0; i < ARRAY_SIZE(value); i += 2) {
		if (i > 2 && !one_in(s, 4))
			continue;
		snprintf(attribute, sizeof(attribute), "%s/%s", group, value[i]);
		set_text(s, name, attribute, value[i + 1]);
		say_file(s, attribute, config_path(s, name, attribute));
	}
}

void op_live(struct side *s)
{
	const char *name = instance[rnd(s, INSTANCES)];

	say(s, "(%s)", name);
	set_text(s, name, "live", one_in(s, 3) ? "0" : "1");
	say_file(s, "live", config_path(s, name, "live"));
}

void op_remove(struct side *s)
{
	const char *name = instance[rnd(s, INSTANCES)];

	say(s, "(%s)", name);
	result(s, rmdir(config_path(s, name, "")));
}

void op_name(struct side *s)
{
	char long_name[300];
	const char *name = one_in(s, 4) ? long_name :
		PICK(s, "0", "9", "x", "Z9-_", "-x", "_x", "x.y", "x:y", "x y", "x!y", "x\n", "\xc3\xa9",
		     "x.peer", "live", ".x", "x/y", "a/x", "a/fail_read", "a/live");

	memset(long_name, 'x', sizeof(long_name));
	long_name[PICK(s, 63, 64, 65, 255, 256)] = '\0';
	say(s, "(%.70s)", name);
	result(s, mkdir(config_path(s, name, ""), 0755));
	if (one_in(s, 2))
		say_directory(s, config_path(s, name, ""));
	if (one_in(s, 4))
		set_text(s, name, "live", "1");
	if (one_in(s, 8)) {
		say(s, "\n  unlink");
		result(s, unlink(config_path(s, name, "live")));
	}
	say(s, "\n  rmdir");
	result(s, rmdir(config_path(s, name, "")));
}

void op_attributes(struct side *s)
{
	static const char *const attribute[] = { "message", "capacity", "kind", "peer", "period_us",
						 "latency_us", "errno", "mode", "live", "fail_read/times",
						 "short_io/times" };
	static const char *const shown[] = { "generation", "length", "capacity" };
	const char *name = instance[rnd(s, INSTANCES)];
	char directory[256], path[300];
	struct stat st;

	say(s, "(%s)", name);
	for (unsigned int i = 0; i < ARRAY_SIZE(attribute); i++)
		say_file(s, attribute[i], config_path(s, name, attribute[i]));
	snprintf(directory, sizeof(directory), "%s", device_path(s, "/sys/devices/virtual/misc", name));
	for (unsigned int i = 0; i < ARRAY_SIZE(shown); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, shown[i]);
		say_file(s, shown[i], path);
		if (!stat(path, &st))
			say(s, " %o", st.st_mode);
		if (one_in(s, 8))
			say_result(s, write_file(path, "1", 1));
	}
	if (one_in(s, 4))
		say_directory(s, directory);
	if (!stat(device_path(s, "/dev", name), &st))
		say(s, "\n  node: %o %ld", st.st_mode, (long)st.st_nlink);
}
