/* SPDX-License-Identifier: Apache-2.0 */
/* A session is the controller's name for a wish to see a VM's console; a new name starts afresh. */
#include "agent/console.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/report.h"

static const struct desired_vm *find_wish(const struct desired *d, const struct console_session *s)
{
	const struct desired_vm *vms = d->vms.at;
	uint32_t i;

	for (i = 0; i < d->vms.nr; i++)
		if (vms[i].has_console && strcmp(vms[i].id, s->vm) == 0 &&
		    strcmp(vms[i].console.session, s->session) == 0)
			return &vms[i];
	return NULL;
}

static struct console_session *open_session(struct console *c, const struct desired_vm *vm)
{
	struct console_session *unused = NULL;
	unsigned i;

	for (i = 0; i < CONSOLE_SESSIONS_MAX; i++) {
		struct console_session *s = &c->sessions[i];

		if (s->is_used && strcmp(s->vm, vm->id) == 0 &&
		    strcmp(s->session, vm->console.session) == 0)
			return s;
		if (!s->is_used && !unused)
			unused = s;
	}
	if (!unused)
		return NULL;
	memset(unused, 0, sizeof(*unused));
	unused->is_used = true;
	memcpy(unused->vm, vm->id, sizeof(unused->vm));
	memcpy(unused->session, vm->console.session, sizeof(unused->session));
	return unused;
}

static void learn(struct console_session *s, const struct sync_actual *a,
		  const struct sync_memory *memory)
{
	const struct sync_vm *slot;
	uint8_t uuid[16];
	uint64_t stream;
	uint32_t i;

	s->handle = 0;
	if (!uuid_from_text(s->vm, uuid))
		return;
	slot = sync_find(memory, uuid);
	stream = slot ? slot->stream : 0;
	if (stream != s->stream) { /* another VM by the same id: its output begins at 0 */
		s->stream = stream;
		s->out_offset = 0;
	}
	for (i = 0; i < a->nr_vms; i++) {
		if (memcmp(a->vms[i].uuid, uuid, 16) != 0 || a->vms[i].state == CTL_VM_DESTROYED)
			continue;
		s->handle = a->vms[i].handle;
		s->end = a->vms[i].console_end;
	}
}

void console_update(struct console *c, const struct desired *desired,
		    const struct sync_actual *actual, const struct sync_memory *memory)
{
	const struct desired_vm *vms = desired->vms.at;
	struct console_session *s;
	uint32_t i;

	for (i = 0; i < CONSOLE_SESSIONS_MAX; i++)
		if (c->sessions[i].is_used && !find_wish(desired, &c->sessions[i]))
			c->sessions[i].is_used = false;
	for (i = 0; i < desired->vms.nr; i++) {
		if (!vms[i].has_console)
			continue;
		s = open_session(c, &vms[i]);
		if (s)
			learn(s, actual, memory);
	}
}

static bool is_live(const struct console_session *s)
{
	return s->is_used && !s->is_over && s->handle != 0;
}

bool console_is_for(const struct console_session *s, const char *session)
{
	return s->is_used && strcmp(s->session, session) == 0;
}

struct console_session *console_next_output(struct console *c)
{
	unsigned i;

	for (i = 1; i <= CONSOLE_SESSIONS_MAX; i++) {
		struct console_session *s = &c->sessions[(c->last_out + i) % CONSOLE_SESSIONS_MAX];

		if (!is_live(s) || s->out_offset >= s->end)
			continue;
		c->last_out = (c->last_out + i) % CONSOLE_SESSIONS_MAX;
		return s;
	}
	return NULL;
}

void console_output_path(const struct console_session *s, uint64_t offset,
			 char path[CONSOLE_PATH_MAX])
{
	snprintf(path, CONSOLE_PATH_MAX,
		 "/agent/v1/console/%s?session=%s&stream=%" PRIu64 "&offset=%" PRIu64, s->vm,
		 s->session, s->stream, offset);
}

void console_output_done(struct console_session *s, uint64_t offset, size_t len, unsigned status)
{
	if (status == 204 || status == 200)
		s->out_offset = offset + len;
	else if (status == 409 || status == 404)
		s->is_over = true;
}

unsigned console_nr_inputs(const struct console *c)
{
	unsigned i, nr = 0;

	for (i = 0; i < CONSOLE_SESSIONS_MAX; i++)
		nr += is_live(&c->sessions[i]);
	return nr;
}

struct console_session *console_next_input(struct console *c)
{
	unsigned i, at;

	for (i = 1; i <= CONSOLE_SESSIONS_MAX; i++) {
		at = (c->last_in + i) % CONSOLE_SESSIONS_MAX;
		if (!is_live(&c->sessions[at]))
			continue;
		c->last_in = at;
		return &c->sessions[at];
	}
	return NULL;
}

void console_input_path(const struct console_session *s, unsigned wait_s,
			char path[CONSOLE_PATH_MAX])
{
	snprintf(path, CONSOLE_PATH_MAX,
		 "/agent/v1/console/%s/input?session=%s&offset=%" PRIu64 "&wait=%u", s->vm,
		 s->session, s->in_offset, wait_s);
}

size_t console_take_input(struct console_session *s, unsigned status, uint64_t offset, size_t len)
{
	if (status == 409 || status == 404)
		s->is_over = true;
	if (status != 200)
		return len;
	if (offset > s->in_offset) /* what lay between is lost */
		s->in_offset = offset;
	return (size_t)MIN((uint64_t)len, s->in_offset - offset);
}
