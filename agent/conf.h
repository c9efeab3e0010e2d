/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's configuration file, docs/node-conf.md: "key = value" lines, comments, and the
 * controller's CA as PEM. Pure; the text is the operator's, so an error names its line.
 */
#ifndef AGENT_CONF_H
#define AGENT_CONF_H

#include "agent/protocol/form.h"
#include "kernel/lib/err.h"

#define CONF_HOST_MAX	254u
#define CONF_CA_MAX	16384u
#define CONF_DNS_MAX	2u
#define CONF_FAULTS_MAX 4u

enum conf_fault_kind { CONF_FAULT_CRASH, CONF_FAULT_HANG };

struct conf_fault { /* for tests: what the agent does to itself */
	enum conf_fault_kind kind;
	uint32_t uptime_s; /* the node's */
};

struct conf {
	char host[CONF_HOST_MAX]; /* a name or a dotted quad */
	uint16_t port;
	char ca[CONF_CA_MAX]; /* one or more PEM certificates */
	char join_token[SECRET_TEXT_MAX];
	char hostname[NAME_TEXT_MAX];
	bool has_address; /* else DHCP */
	char address[IPV4_TEXT_MAX], gateway[IPV4_TEXT_MAX];
	uint32_t prefix, nr_dns;
	char dns[CONF_DNS_MAX][IPV4_TEXT_MAX];
	struct conf_fault faults[CONF_FAULTS_MAX];
	uint32_t nr_faults;
};

struct conf_error {
	unsigned line; /* 0: about the file as a whole */
	char message[160];
};

/*
 * conf_parse - read a whole configuration file
 *
 * conf     filled on HV_OK; of no use otherwise
 * Errors:  HV_EINVAL - err says which line and why; values that may be secret are not repeated.
 */
MUST_CHECK enum hv_err conf_parse(const char *text, size_t len_bytes, struct conf *conf,
				  struct conf_error *err);

#endif
