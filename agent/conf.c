/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the lines; each key is a row with its setter. */
#include "agent/conf.h"

#include <stdio.h>
#include <string.h>

#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"
#define PEM_END	  "-----END CERTIFICATE-----"

struct text {
	const char *at;
	size_t len;
};

struct parse {
	struct conf *conf;
	struct conf_error *err;
	unsigned line;
	unsigned seen; /* a bit per row of keys[] */
	size_t ca_len;
	bool in_pem;
};

static enum hv_err refuse(struct parse *p, const char *why)
{
	p->err->line = p->line;
	snprintf(p->err->message, sizeof(p->err->message), "%s", why);
	return HV_EINVAL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct text trim(struct text t)
{
	while (t.len > 0 && is_space(t.at[0])) {
		t.at++;
		t.len--;
	}
	while (t.len > 0 && is_space(t.at[t.len - 1]))
		t.len--;
	return t;
}

static bool equals(struct text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.at, s, t.len) == 0;
}

/* Copies t where it has the form and fits. */
static bool take(struct text t, enum form form, char *out, size_t cap)
{
	if (t.len >= cap || !form_matches(form, t.at, t.len))
		return false;
	memcpy(out, t.at, t.len);
	out[t.len] = 0;
	return true;
}

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-';
}

static enum hv_err set_controller(struct parse *p, struct text value)
{
	static const char scheme[] = "https://";
	uint64_t port = 443;
	size_t i;

	if (value.len < sizeof(scheme) || memcmp(value.at, scheme, sizeof(scheme) - 1) != 0)
		return refuse(p, "controller must be https://HOST or https://HOST:PORT");
	value.at += sizeof(scheme) - 1;
	value.len -= sizeof(scheme) - 1;
	if (value.at[value.len - 1] == '/')
		value.len--;
	for (i = 0; i < value.len && is_host_char(value.at[i]); i++)
		;
	if (i == 0 || i >= CONF_HOST_MAX)
		return refuse(p, "controller has no host name, or one that is too long");
	if (i < value.len &&
	    (value.at[i] != ':' || !form_parse_u64(value.at + i + 1, value.len - i - 1, &port) ||
	     port == 0 || port > 65535))
		return refuse(
			p, "controller must be https://HOST or https://HOST:PORT, without a path");
	memcpy(p->conf->host, value.at, i);
	p->conf->host[i] = 0;
	p->conf->port = (uint16_t)port;
	return HV_OK;
}

static enum hv_err set_join_token(struct parse *p, struct text value)
{
	if (!take(value, FORM_SECRET, p->conf->join_token, sizeof(p->conf->join_token)))
		return refuse(p, "join_token must be bjt_ and 64 hexadecimal digits");
	return HV_OK;
}

static enum hv_err set_hostname(struct parse *p, struct text value)
{
	if (!take(value, FORM_NAME, p->conf->hostname, sizeof(p->conf->hostname)))
		return refuse(p,
			      "hostname must be lower-case letters, digits and dashes, at most 63");
	return HV_OK;
}

static enum hv_err set_address(struct parse *p, struct text value)
{
	const char *slash = memchr(value.at, '/', value.len);
	struct text ip = {value.at, slash ? (size_t)(slash - value.at) : value.len};
	uint64_t prefix;

	if (!slash || !take(ip, FORM_IPV4, p->conf->address, sizeof(p->conf->address)) ||
	    !form_parse_u64(slash + 1, value.len - ip.len - 1, &prefix) || prefix < 1 ||
	    prefix > 30)
		return refuse(p, "address must be like 192.0.2.10/24, or be left out for DHCP");
	p->conf->prefix = (uint32_t)prefix;
	p->conf->has_address = true;
	return HV_OK;
}

static enum hv_err set_gateway(struct parse *p, struct text value)
{
	if (!take(value, FORM_IPV4, p->conf->gateway, sizeof(p->conf->gateway)))
		return refuse(p, "gateway must be an IPv4 address");
	return HV_OK;
}

static enum hv_err set_dns(struct parse *p, struct text value)
{
	const char *comma;
	struct text one;

	do {
		comma = memchr(value.at, ',', value.len);
		one = (struct text){value.at, comma ? (size_t)(comma - value.at) : value.len};
		if (p->conf->nr_dns == CONF_DNS_MAX)
			return refuse(p, "dns takes two addresses at most");
		if (!take(trim(one), FORM_IPV4, p->conf->dns[p->conf->nr_dns], IPV4_TEXT_MAX))
			return refuse(p, "dns must be IPv4 addresses, separated by a comma");
		p->conf->nr_dns++;
		if (comma)
			value = (struct text){comma + 1, value.len - one.len - 1};
	} while (comma);
	return HV_OK;
}

static bool take_fault(struct text t, struct conf_fault *fault)
{
	const char *sign = memchr(t.at, '@', t.len);
	struct text word = {t.at, sign ? (size_t)(sign - t.at) : 0};
	uint64_t s;

	if (!equals(word, "crash") && !equals(word, "hang"))
		return false;
	if (!form_parse_u64(sign + 1, t.len - word.len - 1, &s) || s > UINT32_MAX)
		return false;
	fault->kind = equals(word, "crash") ? CONF_FAULT_CRASH : CONF_FAULT_HANG;
	fault->uptime_s = (uint32_t)s;
	return true;
}

static enum hv_err set_test_fault(struct parse *p, struct text value)
{
	const char *comma;
	struct text one;

	do {
		comma = memchr(value.at, ',', value.len);
		one = (struct text){value.at, comma ? (size_t)(comma - value.at) : value.len};
		if (p->conf->nr_faults == CONF_FAULTS_MAX)
			return refuse(p, "test_fault takes four faults at most");
		if (!take_fault(trim(one), &p->conf->faults[p->conf->nr_faults]))
			return refuse(p, "test_fault must be crash@SECONDS or hang@SECONDS, "
					 "separated by commas");
		p->conf->nr_faults++;
		if (comma)
			value = (struct text){comma + 1, value.len - one.len - 1};
	} while (comma);
	return HV_OK;
}

static const struct {
	const char *name;
	enum hv_err (*set)(struct parse *p, struct text value);
} keys[] = {
	{"controller", set_controller}, {"join_token", set_join_token}, {"hostname", set_hostname},
	{"address", set_address},	{"gateway", set_gateway},	{"dns", set_dns},
	{"test_fault", set_test_fault},
};

static enum hv_err parse_pem_line(struct parse *p, struct text line)
{
	if (line.len + 2 > CONF_CA_MAX - p->ca_len)
		return refuse(p, "the CA certificates are larger than 16 KiB");
	memcpy(p->conf->ca + p->ca_len, line.at, line.len);
	p->ca_len += line.len;
	p->conf->ca[p->ca_len++] = '\n';
	p->conf->ca[p->ca_len] = 0;
	p->in_pem = !equals(line, PEM_END);
	return HV_OK;
}

static enum hv_err parse_line(struct parse *p, struct text line)
{
	const char *sign;
	struct text key, value;
	size_t i;

	if (p->in_pem || equals(line, PEM_BEGIN))
		return parse_pem_line(p, line);
	if (line.len == 0 || line.at[0] == '#')
		return HV_OK;
	sign = memchr(line.at, '=', line.len);
	if (!sign)
		return refuse(p, "neither 'key = value', nor a comment, nor a PEM certificate");
	key = trim((struct text){line.at, (size_t)(sign - line.at)});
	value = trim((struct text){sign + 1, line.len - (size_t)(sign - line.at) - 1});
	if (value.len == 0)
		return refuse(p, "a key without a value");
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!equals(key, keys[i].name))
			continue;
		if (p->seen & 1u << i)
			return refuse(p, "this key was given before");
		p->seen |= 1u << i;
		return keys[i].set(p, value);
	}
	return refuse(
		p, "unknown key (known: controller, join_token, hostname, address, gateway, dns)");
}

static enum hv_err check_whole(struct parse *p)
{
	const struct conf *c = p->conf;

	if (p->in_pem)
		return refuse(p, "the certificate has no " PEM_END);
	p->line = 0;
	if (c->host[0] == 0)
		return refuse(p, "'controller' is missing");
	if (c->ca[0] == 0)
		return refuse(p, "the controller's CA certificate (PEM) is missing");
	if (c->join_token[0] == 0)
		return refuse(p, "'join_token' is missing");
	if (!c->has_address && (c->gateway[0] || c->nr_dns > 0))
		return refuse(p,
			      "'gateway' and 'dns' go with 'address'; without it, DHCP gives them");
	if (c->has_address && !form_matches(FORM_IPV4, c->host, strlen(c->host)) && c->nr_dns == 0)
		return refuse(
			p,
			"the controller has a name and the node a fixed address: 'dns' is missing");
	return HV_OK;
}

enum hv_err conf_parse(const char *text, size_t len_bytes, struct conf *conf,
		       struct conf_error *err)
{
	struct parse p = {.conf = conf, .err = err};
	const char *end = text + len_bytes, *eol;
	enum hv_err result;

	memset(conf, 0, sizeof(*conf));
	memset(err, 0, sizeof(*err));
	for (; text < end; text = eol + 1) {
		p.line++;
		eol = memchr(text, '\n', (size_t)(end - text));
		if (!eol)
			eol = end;
		result = parse_line(&p, trim((struct text){text, (size_t)(eol - text)}));
		if (result != HV_OK)
			return result;
		if (eol == end)
			break;
	}
	return check_whole(&p);
}
