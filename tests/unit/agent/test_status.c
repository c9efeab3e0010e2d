/* SPDX-License-Identifier: Apache-2.0 */
/* What the node's screen says of the agent, from its first second to its normal day. */
#include "agent/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct node_update update;
static struct status_facts facts;
static struct ctl_agent_status out;

static int start(void **state)
{
	(void)state;
	memset(&update, 0, sizeof(update));
	facts = (struct status_facts){.controller_host = "controller.example.org",
				      .controller_port = 8443,
				      .node_id = "",
				      .fingerprint = "",
				      .trouble = "",
				      .update = &update};
	return 0;
}

static void waits_for_an_address(void **state)
{
	(void)state;
	status_write(&facts, &out);
	assert_string_equal(out.state, "waiting for an address (DHCP)");
	assert_string_equal(out.address, "");
	assert_string_equal(out.controller, "controller.example.org:8443");
}

static void shows_the_key_to_compare(void **state)
{
	(void)state;
	facts.has_lease = true;
	strcpy(facts.lease.address, "192.0.2.10");
	strcpy(facts.lease.gateway, "192.0.2.1");
	facts.lease.prefix = 24;
	facts.fingerprint = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	status_write(&facts, &out);
	assert_string_equal(out.state, "waiting for approval");
	assert_string_equal(
		out.code,
		"01234567 89abcdef 01234567 89abcdef 01234567 89abcdef 01234567 89abcdef");
	assert_string_equal(out.address, "192.0.2.10/24, gateway 192.0.2.1");
}

static void says_who_it_is(void **state)
{
	(void)state;
	facts.has_lease = facts.is_online = true;
	facts.node_id = "node_5f1d6a7c00aa31be";
	facts.trouble = "report: no route";
	status_write(&facts, &out);
	assert_string_equal(out.state, "connecting as node_5f1d6a7c00aa31be");
	assert_string_equal(out.error, "report: no route");
	facts.has_reported = true;
	facts.trouble = "";
	status_write(&facts, &out);
	assert_string_equal(out.state, "enrolled as node_5f1d6a7c00aa31be");
	assert_string_equal(out.error, "");
	update.state = UPDATE_INSTALLING;
	memset(update.version, 'v', sizeof(update.version) - 1);
	status_write(&facts, &out);
	assert_int_equal(strncmp(out.state, "enrolled, updating to vvv", 25), 0);
	assert_true(strlen(out.state) < sizeof(out.state));
}

static void long_texts_are_cut(void **state)
{
	char host[300], trouble[300];

	(void)state;
	memset(host, 'h', sizeof(host));
	host[sizeof(host) - 1] = 0;
	memset(trouble, 't', sizeof(trouble));
	trouble[sizeof(trouble) - 1] = 0;
	facts.controller_host = host;
	facts.trouble = trouble;
	status_write(&facts, &out);
	assert_string_equal(out.controller + 100, ":8443");
	assert_int_equal(strlen(out.error), sizeof(out.error) - 1);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waits_for_an_address),
		TEST(shows_the_key_to_compare),
		TEST(says_who_it_is),
		TEST(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
