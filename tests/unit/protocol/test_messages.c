/* SPDX-License-Identifier: Apache-2.0 */
/* The messages between node and controller: what docs/protocol.md shows is read, and bad values are
 * named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/protocol/messages.h"

#define NODE "node_5f1d6a7c00aa31be"
#define VM   "3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4e"
#define BOOT "b0070000-0000-4000-8000-000000000001"
#define SHA  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct desired_image images[4];
static struct desired_vm vms[2];
static struct proto_error err;
static char scratch[65536];

static enum proto_status decode(const struct schema *schema, const char *json, void *out)
{
	struct proto_scratch mem = {scratch, sizeof(scratch)};

	return schema_decode(schema, json, strlen(json), mem, out, &err);
}

static struct desired empty_desired(void)
{
	return (struct desired){.images = {.at = images, .cap = 4}, .vms = {.at = vms, .cap = 2}};
}

#define DESIRED_HEAD                                                                               \
	"{\"node_id\":\"" NODE                                                                     \
	"\",\"generation\":\"17\",\"time_ms\":\"5\",\"report_interval_ms\":10000,"
#define IMAGES                                                                                     \
	"\"images\":[{\"id\":\"img_00c0ffee00c0ffee\",\"sha256\":\"" SHA "\",\"size\":\"123\"}],"
#define VM_HEAD                                                                                    \
	"{\"id\":\"" VM                                                                            \
	"\",\"name\":\"web1\",\"state\":\"paused\",\"restart\":\"3\",\"epoch\":\"1\","
#define VM_SIZE "\"vcpus\":1,\"memory_mib\":256,\"weight\":100,"
#define VM_BOOT                                                                                    \
	"\"boot\":{\"kind\":\"linux\",\"kernel\":\"" SHA                                           \
	"\",\"initrd\":null,\"cmdline\":\"quiet\"},"
#define VM_TAIL                                                                                    \
	"\"nics\":[{\"mac\":\"52:54:00:12:34:56\",\"network\":\"default\"}],\"console\":null,"     \
	"\"new\":[1]}"

static void reads_a_desired_state_and_skips_unknown_keys(void **state)
{
	struct desired d = empty_desired();

	(void)state;
	assert_int_equal(decode(&desired_schema,
				DESIRED_HEAD IMAGES "\"vms\":[" VM_HEAD VM_SIZE VM_BOOT VM_TAIL
						    "],\"later\":{}}",
				&d),
			 PROTO_OK);
	assert_true(d.generation == 17);
	assert_int_equal(d.vms.nr, 1);
	assert_int_equal(vms[0].state, VM_DESIRED_PAUSED);
	assert_true(vms[0].restart == 3);
	assert_string_equal(vms[0].boot.kernel, SHA);
	assert_string_equal(vms[0].boot.initrd, "");
	assert_string_equal(vms[0].nics[0].mac, "52:54:00:12:34:56");
	assert_false(vms[0].has_console);
	assert_int_equal(message_check_desired(&d, NODE, &err), PROTO_OK);
}

#define VM_TSC(khz) VM_SIZE "\"tsc_khz\":" khz ","

static void reads_a_tsc_rate_within_limits_or_none(void **state)
{
	struct desired d = empty_desired();
	char json[4096];
	struct json_out o;

	(void)state;
#define ONE_VM(size) DESIRED_HEAD IMAGES "\"vms\":[" VM_HEAD size VM_BOOT VM_TAIL "]}"
	assert_int_equal(decode(&desired_schema, ONE_VM(VM_TSC("99999")), &d), PROTO_INVALID);
	assert_string_equal(err.message, "'vms[0].tsc_khz' must be 100000 to 10000000");
	d = empty_desired();
	assert_int_equal(decode(&desired_schema, ONE_VM(VM_TSC("10000001")), &d), PROTO_INVALID);
	d = empty_desired();
	assert_int_equal(decode(&desired_schema, ONE_VM(VM_TSC("2500000")), &d), PROTO_OK);
	assert_int_equal(vms[0].tsc_khz, 2500000);
	o = (struct json_out){.at = json, .cap = sizeof(json)};
	schema_encode(&desired_schema, &d, NULL, &o);
	json_out_finish(&o);
	assert_non_null(strstr(json, "\"tsc_khz\":2500000,"));
	d = empty_desired();
	assert_int_equal(decode(&desired_schema, ONE_VM(VM_TSC("null")), &d), PROTO_OK);
	assert_int_equal(vms[0].tsc_khz, 0);
	o = (struct json_out){.at = json, .cap = sizeof(json)};
	schema_encode(&desired_schema, &d, NULL, &o);
	json_out_finish(&o);
	assert_null(strstr(json, "tsc_khz"));
#undef ONE_VM
}

static void refuses_a_desired_state_for_another_node(void **state)
{
	struct desired d = empty_desired();

	(void)state;
	assert_int_equal(decode(&desired_schema, DESIRED_HEAD "\"vms\":[]}", &d), PROTO_OK);
	assert_int_equal(message_check_desired(&d, "node_0000000000000000", &err), PROTO_INVALID);
	assert_string_equal(err.field, "node_id");
}

static void refuses_a_vm_twice_and_an_unlisted_image(void **state)
{
	static const char one[] = VM_HEAD VM_SIZE VM_BOOT VM_TAIL;
	struct desired d = empty_desired();
	char json[4096];

	(void)state;
	snprintf(json, sizeof(json), "%s%s\"vms\":[%s,%s]}", DESIRED_HEAD, IMAGES, one, one);
	assert_int_equal(decode(&desired_schema, json, &d), PROTO_OK);
	assert_int_equal(message_check_desired(&d, NODE, &err), PROTO_INVALID);
	assert_string_equal(err.field, "vms[1].id");

	snprintf(json, sizeof(json), "%s\"vms\":[%s]}", DESIRED_HEAD, one);
	assert_int_equal(decode(&desired_schema, json, &d), PROTO_OK);
	assert_int_equal(message_check_desired(&d, NODE, &err), PROTO_INVALID);
	assert_string_equal(err.field, "vms[0].boot.kernel");
}

static void names_the_field_at_fault(void **state)
{
	static const struct {
		const char *json;
		enum proto_status status;
		const char *field;
	} rows[] = {
		{DESIRED_HEAD "\"vms\":[" VM_HEAD "\"vcpus\":0}]}", PROTO_INVALID, "vms[0].vcpus"},
		{DESIRED_HEAD "\"vms\":[" VM_HEAD "\"vcpus\":33}]}", PROTO_INVALID, "vms[0].vcpus"},
		{DESIRED_HEAD "\"vms\":[" VM_HEAD "\"vcpus\":1.5}]}", PROTO_INVALID,
		 "vms[0].vcpus"},
		{DESIRED_HEAD "\"vms\":[" VM_HEAD "\"vcpus\":-1}]}", PROTO_INVALID, "vms[0].vcpus"},
		{DESIRED_HEAD "\"vms\":[" VM_HEAD "\"vcpus\":4294967297}]}", PROTO_INVALID,
		 "vms[0].vcpus"},
		{DESIRED_HEAD "\"vms\":[" VM_HEAD VM_SIZE "\"boot\":{\"kind\":\"dos\"}}]}",
		 PROTO_INVALID, "vms[0].boot.kind"},
		{DESIRED_HEAD "\"vms\":[" VM_HEAD VM_SIZE VM_BOOT "\"nics\":[{\"mac\":\"x\"}]}]}",
		 PROTO_INVALID, "vms[0].nics[0].mac"},
		{DESIRED_HEAD "\"vms\":[" VM_HEAD VM_SIZE "\"nics\":[]}]}", PROTO_MISSING,
		 "vms[0].boot"},
		{DESIRED_HEAD "\"vms\":[{},{},{}]}", PROTO_INVALID, "vms"},
		{DESIRED_HEAD "\"vms\":[7]}", PROTO_INVALID, "vms"},
		{DESIRED_HEAD "\"vms\":{}}", PROTO_INVALID, "vms"},
		{"{\"node_id\":\"" NODE "\",\"generation\":\"-1\"}", PROTO_INVALID, "generation"},
		{"{\"node_id\":\"" NODE "\",\"generation\":\"9223372036854775808\"}", PROTO_INVALID,
		 "generation"},
		{"{\"node_id\":\"node_5f1d6a7c00aa31be\\u0000\"}", PROTO_INVALID, "node_id"},
		{"{}", PROTO_MISSING, "node_id"},
		{"[]", PROTO_MALFORMED, ""},
		{"{\"a\":}", PROTO_MALFORMED, ""},
		{"", PROTO_MALFORMED, ""},
		{"{\"a\":\"\xff\"}", PROTO_MALFORMED, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct desired d = empty_desired();

		if (decode(&desired_schema, rows[i].json, &d) != rows[i].status ||
		    strcmp(err.field, rows[i].field) != 0)
			fail_msg("row %zu: status %d field '%s': %s", i, err.status, err.field,
				 err.message);
		assert_true(err.message[0]);
	}
}

static void says_where_json_is_malformed(void **state)
{
	struct desired d = empty_desired();

	(void)state;
	assert_int_equal(decode(&desired_schema, "{\"node_id\": nope}", &d), PROTO_MALFORMED);
	assert_non_null(strstr(err.message, "byte 12"));
}

static void says_when_its_scratch_memory_is_too_small(void **state)
{
	static char little[1024];
	struct proto_scratch mem = {little, sizeof(little)};
	struct desired d = empty_desired();
	char json[8192];
	size_t len = (size_t)snprintf(json, sizeof(json), "{\"a\":[");

	(void)state;
	while (len < sizeof(json) - 8)
		len += (size_t)snprintf(json + len, sizeof(json) - len, "1,");
	len += (size_t)snprintf(json + len, sizeof(json) - len, "1]}");
	assert_int_equal(schema_decode(&desired_schema, json, len, mem, &d, &err), PROTO_NO_MEMORY);
}

static void writes_a_report_that_it_can_read(void **state)
{
	struct report_vm rv[1] = {
		{.id = VM, .state = VM_STATE_CRASHED, .reason = "triple \"fault\"", .restart = 2}};
	struct usage_record u[1] = {{.boot_id = BOOT,
				     .seq = 41,
				     .vm = VM,
				     .epoch = 1,
				     .vcpus = 1,
				     .memory_mib = 256,
				     .final = true,
				     .counters = {PROTO_COUNTER_MAX, 2, 3, 4, 5, 6, 7}}};
	struct report_event ev[1] = {
		{.boot_id = BOOT, .seq = 1, .level = EVENT_ERROR, .code = "vm_crashed"}};
	struct report r = {.node_id = NODE,
			   .boot_id = BOOT,
			   .applied_generation = 17,
			   .has_node = true,
			   .node = {.cpus = 2,
				    .memory_mib = 1024,
				    .guest_memory_mib = 900,
				    .nr_mitigations = 1,
				    .mitigations = {"ibpb"}},
			   .vms = {rv, 1, 1},
			   .usage = {u, 1, 1},
			   .events = {ev, 1, 1}};
	struct report_vm rv_back[1];
	struct usage_record u_back[1];
	struct report_event ev_back[1];
	struct report back = {
		.vms = {rv_back, 1, 0}, .usage = {u_back, 1, 0}, .events = {ev_back, 1, 0}};
	char json[4096];
	struct json_out o = {.at = json, .cap = sizeof(json) - 1};

	(void)state;
	schema_encode(&report_schema, &r, NULL, &o);
	assert_false(o.overflow);
	json[o.len] = 0;
	assert_int_equal(decode(&report_schema, json, &back), PROTO_OK);
	assert_memory_equal(back.usage.at, u, sizeof(u));
	assert_memory_equal(back.vms.at, rv, sizeof(rv));
	assert_memory_equal(back.events.at, ev, sizeof(ev));
	assert_memory_equal(&back.node, &r.node, sizeof(r.node));
	assert_false(back.has_lease);
}

static void reads_the_replies(void **state)
{
	struct report_reply reply = {0};
	struct enroll_pending pending = {0};
	struct error_reply error = {0};

	(void)state;
	assert_int_equal(decode(&report_reply_schema,
				"{\"ack_seq\":\"41\",\"time_ms\":\"7\",\"next_ms\":10000}", &reply),
			 PROTO_OK);
	assert_true(reply.ack_seq == 41);
	assert_int_equal(decode(&enroll_pending_schema,
				"{\"status\":\"pending\",\"retry_s\":5,\"fingerprint\":\"" SHA
				"\"}",
				&pending),
			 PROTO_OK);
	assert_int_equal(pending.retry_s, 5);
	assert_int_equal(decode(&error_reply_schema,
				"{\"error\":{\"code\":\"node_removed\",\"message\":\"gone\"}}",
				&error),
			 PROTO_OK);
	assert_string_equal(error.error.code, "node_removed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_desired_state_and_skips_unknown_keys),
		cmocka_unit_test(reads_a_tsc_rate_within_limits_or_none),
		cmocka_unit_test(refuses_a_desired_state_for_another_node),
		cmocka_unit_test(refuses_a_vm_twice_and_an_unlisted_image),
		cmocka_unit_test(names_the_field_at_fault),
		cmocka_unit_test(says_where_json_is_malformed),
		cmocka_unit_test(says_when_its_scratch_memory_is_too_small),
		cmocka_unit_test(writes_a_report_that_it_can_read),
		cmocka_unit_test(reads_the_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
