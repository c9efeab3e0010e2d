/* SPDX-License-Identifier: Apache-2.0 */
/* Console sessions: offsets that survive lost and repeated answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/console.h"
#include "agent/report.h"

#define VM "3c1f2b9e-7d39-4a55-8d6e-000000000001"

static struct desired_vm want[12];
static struct desired desired;
static struct ctl_vm_info vms[12];
static struct sync_actual actual;
static struct sync_memory memory;
static struct console c;

static void add(unsigned i)
{
	snprintf(want[i].id, sizeof(want[i].id), "3c1f2b9e-7d39-4a55-8d6e-%012u", i + 1);
	snprintf(want[i].console.session, ID_TEXT_MAX, "cs_%016u", i + 1);
	want[i].has_console = true;
	vms[i] = (struct ctl_vm_info){.handle = i + 1, .state = CTL_VM_RUNNING, .console_end = 100};
	assert_true(uuid_from_text(want[i].id, vms[i].uuid));
	memcpy(memory.vms[i].uuid, vms[i].uuid, 16);
	memory.vms[i].is_used = 1;
	memory.vms[i].stream = 17;
}

static void update(unsigned nr_vms)
{
	desired.vms = (struct proto_list){want, 12, nr_vms};
	actual = (struct sync_actual){.vms = vms, .nr_vms = nr_vms};
	console_update(&c, &desired, &actual, &memory);
}

static int setup(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&memory, 0, sizeof(memory));
	memset(want, 0, sizeof(want));
	add(0);
	return 0;
}

static void sends_output_from_where_it_was(void **state)
{
	struct console_session *s;
	char path[CONSOLE_PATH_MAX];

	(void)state;
	update(1);
	s = console_next_output(&c);
	assert_non_null(s);
	console_output_path(s, 0, path);
	assert_string_equal(path, "/agent/v1/console/" VM
				  "?session=cs_0000000000000001&stream=17&offset=0");
	console_output_done(s, 0, 60, 503);
	assert_int_equal(s->out_offset, 0);
	console_output_done(s, 0, 60, 204);
	assert_int_equal(s->out_offset, 60);
	console_output_done(s, 60, 40, 204);
	assert_null(console_next_output(&c));
	vms[0].console_end = 101;
	update(1);
	assert_non_null(console_next_output(&c));
}

static void ends_when_the_controller_says_so(void **state)
{
	(void)state;
	update(1);
	console_output_done(console_next_output(&c), 0, 1, 409);
	assert_null(console_next_output(&c));
	assert_null(console_next_input(&c));
	update(1);
	assert_null(console_next_output(&c)); /* the same session stays over */
	strcpy(want[0].console.session, "cs_00000000000000ff");
	update(1);
	assert_non_null(console_next_output(&c));
}

static void ends_with_the_wish(void **state)
{
	(void)state;
	update(1);
	want[0].has_console = false;
	update(1);
	assert_null(console_next_output(&c));
	assert_null(console_next_input(&c));
	assert_int_equal(console_nr_inputs(&c), 0);
}

static void begins_at_0_with_another_vm_of_the_same_id(void **state)
{
	struct console_session *s;

	(void)state;
	update(1);
	s = console_next_output(&c);
	console_output_done(s, 0, 100, 204);
	memory.vms[0].stream = 18;
	vms[0].console_end = 5;
	update(1);
	assert_ptr_equal(console_next_output(&c), s);
	assert_int_equal(s->out_offset, 0);
}

static void gives_input_once(void **state)
{
	struct console_session *s;
	char path[CONSOLE_PATH_MAX];

	(void)state;
	update(1);
	s = console_next_input(&c);
	assert_int_equal(console_nr_inputs(&c), 1);
	s->in_offset = 10;
	console_input_path(s, 50, path);
	assert_string_equal(path, "/agent/v1/console/" VM
				  "/input?session=cs_0000000000000001&offset=10&wait=50");
	assert_int_equal(console_take_input(s, 204, 10, 0), 0);
	assert_int_equal(console_take_input(s, 200, 10, 5), 0);
	assert_int_equal(console_take_input(s, 200, 7, 5), 3); /* three of them it had */
	assert_int_equal(console_take_input(s, 200, 0, 5), 5);
	assert_int_equal(console_take_input(s, 200, 20, 5), 0); /* a gap */
	assert_int_equal(s->in_offset, 20);
	console_take_input(s, 409, 20, 0);
	assert_null(console_next_input(&c));
}

static void takes_turns_and_has_an_end_of_rows(void **state)
{
	struct console_session *a, *b;
	unsigned i;

	(void)state;
	for (i = 0; i < 12; i++)
		add(i);
	update(12);
	a = console_next_input(&c);
	b = console_next_input(&c);
	assert_int_equal(console_nr_inputs(&c), CONSOLE_SESSIONS_MAX);
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(console_next_output(&c), console_next_output(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sends_output_from_where_it_was, setup),
		cmocka_unit_test_setup(ends_when_the_controller_says_so, setup),
		cmocka_unit_test_setup(ends_with_the_wish, setup),
		cmocka_unit_test_setup(begins_at_0_with_another_vm_of_the_same_id, setup),
		cmocka_unit_test_setup(gives_input_once, setup),
		cmocka_unit_test_setup(takes_turns_and_has_an_end_of_rows, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
