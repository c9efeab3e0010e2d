/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printf's formatter in small. Text goes through one function that counts everything and stores
 * what fits; a conversion is parsed into struct spec first and printed from it.
 */
#include "kernel/lib/fmt.h"

#include "kernel/lib/string.h"

#define DIGITS_MAX 20 /* of 2^64 - 1 in decimal */

struct out {
	char *dst;
	size_t cap, len;
};

struct spec {
	bool is_left, is_zero_padded;
	int width, precision; /* precision -1: none given */
	int longs;	      /* 0: int, 1: long, 2: long long; all of 64 bits but the first */
	char conv;
};

static void put_char(struct out *out, char c)
{
	if (out->len + 1 < out->cap)
		out->dst[out->len] = c;
	out->len++;
}

static void put_text(struct out *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put_char(out, text[i]);
}

static void put_repeat(struct out *out, char c, int count)
{
	for (; count > 0; count--)
		put_char(out, c);
}

/* Sign or 0x, then the body, filled up to the width on the side that the flags say. */
static void put_padded(struct out *out, const struct spec *spec, const char *prefix,
		       const char *body, size_t body_len)
{
	size_t len = strlen(prefix) + body_len;
	int fill = len < (size_t)spec->width ? spec->width - (int)len : 0;

	if (!spec->is_left && !spec->is_zero_padded)
		put_repeat(out, ' ', fill);
	put_text(out, prefix, strlen(prefix));
	if (!spec->is_left && spec->is_zero_padded)
		put_repeat(out, '0', fill);
	put_text(out, body, body_len);
	if (spec->is_left)
		put_repeat(out, ' ', fill);
}

static void put_number(struct out *out, const struct spec *spec, const char *prefix, uint64_t val)
{
	const char *digits = spec->conv == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned base = spec->conv == 'd' || spec->conv == 'i' || spec->conv == 'u' ? 10 : 16;
	char body[DIGITS_MAX];
	size_t at = sizeof(body);

	do {
		body[--at] = digits[val % base];
		val /= base;
	} while (val != 0);
	put_padded(out, spec, prefix, body + at, sizeof(body) - at);
}

static void put_string(struct out *out, const struct spec *spec, const char *text)
{
	if (text == NULL)
		text = "(null)";
	put_padded(out, spec, "", text,
		   spec->precision < 0 ? strlen(text) : strnlen(text, (size_t)spec->precision));
}

static int parse_count(const char **at, va_list *args)
{
	int count = 0;

	if (**at == '*') {
		(*at)++;
		return va_arg(*args, int);
	}
	for (; **at >= '0' && **at <= '9' && count < 10000; (*at)++)
		count = count * 10 + (**at - '0');
	return count;
}

/* From behind the % to behind the conversion letter. */
static struct spec parse_spec(const char **at, va_list *args)
{
	struct spec spec = {.precision = -1};

	for (; **at == '-' || **at == '0'; (*at)++) {
		spec.is_left |= **at == '-';
		spec.is_zero_padded |= **at == '0';
	}
	spec.width = parse_count(at, args);
	if (spec.width < 0) {
		spec.is_left = true;
		spec.width = -spec.width;
	}
	if (**at == '.') {
		(*at)++;
		spec.precision = parse_count(at, args);
	}
	for (; **at == 'l' || **at == 'z'; (*at)++)
		spec.longs++;
	spec.conv = **at;
	if (spec.conv != '\0')
		(*at)++;
	return spec;
}

static void put_signed(struct out *out, const struct spec *spec, int64_t val)
{
	if (val < 0)
		put_number(out, spec, "-", -(uint64_t)val);
	else
		put_number(out, spec, "", (uint64_t)val);
}

static void put_conversion(struct out *out, const struct spec *spec, va_list *args)
{
	char c;

	switch (spec->conv) {
	case 'd':
	case 'i':
		put_signed(out, spec, spec->longs ? va_arg(*args, long) : va_arg(*args, int));
		break;
	case 'u':
	case 'x':
	case 'X':
		put_number(out, spec, "",
			   spec->longs ? va_arg(*args, unsigned long) : va_arg(*args, unsigned));
		break;
	case 'p':
		put_number(out, spec, "0x", (uintptr_t)va_arg(*args, void *));
		break;
	case 'c':
		c = (char)va_arg(*args, int);
		put_padded(out, spec, "", &c, 1);
		break;
	case 's':
		put_string(out, spec, va_arg(*args, const char *));
		break;
	default: /* %%, and whatever else is not a conversion of ours stands for itself */
		put_char(out, spec->conv);
	}
}

size_t fmt_v(char *dst, size_t cap, const char *format, va_list args)
{
	struct out out = {.dst = dst, .cap = cap};
	struct spec spec;
	va_list copy;

	va_copy(copy, args);
	while (*format != '\0') {
		if (*format != '%') {
			put_char(&out, *format++);
			continue;
		}
		format++;
		spec = parse_spec(&format, &copy);
		if (spec.conv == '\0')
			break;
		put_conversion(&out, &spec, &copy);
	}
	va_end(copy);
	if (cap > 0)
		dst[MIN(out.len, cap - 1)] = '\0';
	return out.len;
}

size_t fmt(char *dst, size_t cap, const char *format, ...)
{
	va_list args;
	size_t len;

	va_start(args, format);
	len = fmt_v(dst, cap, format, args);
	va_end(args);
	return len;
}
