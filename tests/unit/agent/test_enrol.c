/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller's answers to an enrolment mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/enrol.h"

static struct enrol_answer answer;

static enum enrol_next read_answer(unsigned status, const char *body)
{
	enrol_read_answer(status, body, strlen(body), "no route", &answer);
	return answer.next;
}

static void takes_a_certificate(void **state)
{
	(void)state;
	assert_int_equal(
		read_answer(
			201,
			"{\"node_id\":\"node_5f1d6a7c00aa31be\",\"certificate\":\"C\",\"ca\":\"A\","
			"\"expires_ms\":\"3\",\"renew_ms\":\"2\",\"time_ms\":\"1\",\"new\":{}}"),
		ENROL_DONE);
	assert_string_equal(answer.reply.node_id, "node_5f1d6a7c00aa31be");
	assert_int_equal(answer.reply.renew_ms, 2);
}

static void waits_for_approval(void **state)
{
	static const char body[] =
		"{\"status\":\"pending\",\"node_id\":\"node_5f1d6a7c00aa31be\",\"retry_s\":%s,"
		"\"fingerprint\":"
		"\"9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b9a0b\"}";
	char text[256];

	(void)state;
	snprintf(text, sizeof(text), body, "5");
	assert_int_equal(read_answer(202, text), ENROL_PENDING);
	assert_int_equal(answer.wait_ms, 5000);
	assert_non_null(strstr(answer.text, "9a0b9a0b"));
	snprintf(text, sizeof(text), body, "100000");
	read_answer(202, text);
	assert_true(answer.next != ENROL_PENDING || answer.wait_ms <= 300000);
}

static void says_why_it_was_refused(void **state)
{
	(void)state;
	assert_int_equal(
		read_answer(403,
			    "{\"error\":{\"code\":\"join_token_used\",\"message\":\"Used up.\"}}"),
		ENROL_REFUSED);
	assert_string_equal(answer.text, "403 join_token_used: Used up.");
	assert_int_equal(answer.wait_ms, ENROL_REFUSED_MS);
	assert_int_equal(read_answer(404, "<html>"), ENROL_REFUSED);
	assert_string_equal(answer.text, "status 404");
}

static void tries_again_when_it_may_pass(void **state)
{
	(void)state;
	assert_int_equal(read_answer(0, ""), ENROL_RETRY);
	assert_string_equal(answer.text, "no route");
	assert_int_equal(read_answer(503, ""), ENROL_RETRY);
	assert_int_equal(read_answer(429, ""), ENROL_RETRY);
	assert_int_equal(read_answer(201, "{\"node_id\":\"node_5f1d6a7c00aa31be\"}"), ENROL_RETRY);
	assert_non_null(strstr(answer.text, "certificate"));
	assert_int_equal(read_answer(202, "["), ENROL_RETRY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_certificate),
		cmocka_unit_test(waits_for_approval),
		cmocka_unit_test(says_why_it_was_refused),
		cmocka_unit_test(tries_again_when_it_may_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
