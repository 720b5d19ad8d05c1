/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HT_HMAC_SESSION 0x02
#define HT_POLICY_SESSION 0x03
#define HT_TRANSIENT 0x80
#define VIRTUAL_FIRST 0x80FFFFFFu

/* TPM_RC_COMMAND_CODE from the resource manager's layer. */
#define RC_NO_COMMAND (11u << 16 | 0x143)
/* TPM_RC_OBJECT_MEMORY and TPM_RC_SESSION_MEMORY. */
#define RC_OBJECT_MEMORY 0x902
#define RC_SESSION_MEMORY 0x903

/* TPMA_CC, TPM 2.0 part 2 section 8.9. */
#define CC_INDEX(attrs) ((attrs)&0x2000FFFFu)
#define CC_FLUSHED(attrs) ((attrs) >> 24 & 1)
#define CC_HANDLES(attrs) ((attrs) >> 25 & 7)
#define CC_R_HANDLE(attrs) ((attrs) >> 28 & 1)

static bool
is_session(uint32_t handle)
{
	return handle >> 24 == HT_HMAC_SESSION ||
	    handle >> 24 == HT_POLICY_SESSION;
}

static bool
is_transient(uint32_t handle)
{
	return handle >> 24 == HT_TRANSIENT;
}

static void
entry_drop(struct space_entry *e)
{
	buf_free(&e->context);
	*e = (struct space_entry){ 0 };
}

static struct space_entry *
find_session(struct space *space, uint32_t handle)
{
	for (size_t i = 0; i < SPACE_SESSIONS; i++)
		if (space->sessions[i].handle == handle)
			return &space->sessions[i];
	return NULL;
}

static struct space_entry *
find_virtual(struct space *space, uint32_t handle)
{
	uint32_t i = VIRTUAL_FIRST - handle;

	if (i >= SPACE_OBJECTS || space->objects[i].handle == 0)
		return NULL;
	return &space->objects[i];
}

static struct space_entry *
find_free(struct space_entry *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].handle == 0)
			return &table[i];
	return NULL;
}

static int
simple(struct tpm *tpm, uint32_t cc, uint32_t handle, struct buf *ret)
{
	_cleanup_(buf_free) struct buf cmd = { 0 };

	buf_be16(&cmd, TPM_ST_NO_SESSIONS);
	buf_be32(&cmd, TPM_HEADER + 4);
	buf_be32(&cmd, cc);
	buf_be32(&cmd, handle);
	return tpm_transmit(tpm, cmd.p, cmd.len, ret);
}

static int
flush(struct tpm *tpm, uint32_t handle)
{
	_cleanup_(buf_free) struct buf rsp = { 0 };

	return simple(tpm, TPM_CC_FLUSH_CONTEXT, handle, &rsp);
}

/*
 * Saves one entry and takes it out of the TPM. What the TPM no longer knows
 * (a session that ended by itself, an object flushed by TPM2_Clear) is
 * forgotten.
 */
static int
entry_save(struct tpm *tpm, struct space_entry *e)
{
	_cleanup_(buf_free) struct buf rsp = { 0 };
	int r;

	if (e->handle == 0 || !e->loaded)
		return 0;
	if (e->context.len == 0) {
		r = simple(tpm, TPM_CC_CONTEXT_SAVE, e->handle, &rsp);
		if (r < 0)
			return r;
		if (get_be32(rsp.p + 6) != 0) {
			entry_drop(e);
			return 0;
		}
		buf_put(&e->context, rsp.p + TPM_HEADER, rsp.len - TPM_HEADER);
	}
	e->loaded = false;
	/* Saving a session takes it out; saving an object only copies it. */
	return is_session(e->handle) ? 0 : flush(tpm, e->handle);
}

static int
entry_load(struct tpm *tpm, struct space_entry *e)
{
	_cleanup_(buf_free) struct buf cmd = { 0 }, rsp = { 0 };
	int r;

	if (e->handle == 0 || e->loaded)
		return 0;
	buf_be16(&cmd, TPM_ST_NO_SESSIONS);
	buf_be32(&cmd, (uint32_t)(TPM_HEADER + e->context.len));
	buf_be32(&cmd, TPM_CC_CONTEXT_LOAD);
	buf_put(&cmd, e->context.p, e->context.len);
	r = tpm_transmit(tpm, cmd.p, cmd.len, &rsp);
	if (r < 0)
		return r;
	if (get_be32(rsp.p + 6) != 0 || rsp.len < TPM_HEADER + 4) {
		vlog("context of %#x does not load: %#x", e->handle,
		    get_be32(rsp.p + 6));
		entry_drop(e);
		return 0;
	}
	e->handle = get_be32(rsp.p + TPM_HEADER);
	e->loaded = true;
	if (!e->keep)
		buf_free(&e->context);
	return 0;
}

static int
space_leave(struct tpm *tpm)
{
	struct space *space = tpm->current;
	int r = 0;

	if (space == NULL)
		return 0;
	for (size_t i = 0; r == 0 && i < SPACE_OBJECTS; i++)
		r = entry_save(tpm, &space->objects[i]);
	for (size_t i = 0; r == 0 && i < SPACE_SESSIONS; i++)
		r = entry_save(tpm, &space->sessions[i]);
	tpm->current = NULL;
	return r;
}

static int
space_enter(struct tpm *tpm, struct space *space)
{
	int r;

	if (tpm->fd < 0 || space->epoch != tpm->epoch)
		return -EIO;
	if (tpm->current == space)
		return 0;
	r = space_leave(tpm);
	for (size_t i = 0; r == 0 && i < SPACE_OBJECTS; i++)
		r = entry_load(tpm, &space->objects[i]);
	for (size_t i = 0; r == 0 && i < SPACE_SESSIONS; i++)
		r = entry_load(tpm, &space->sessions[i]);
	if (r == 0)
		tpm->current = space;
	return r;
}

int
space_open(struct tpm *tpm, struct space **ret)
{
	if (tpm->fd < 0)
		return -EIO;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->epoch = tpm->epoch;
	return 0;
}

static void
table_close(struct tpm *tpm, struct space_entry *table, size_t n, bool alive)
{
	for (size_t i = 0; i < n; i++) {
		struct space_entry *e = &table[i];

		/* A saved session still holds a place in the TPM. */
		if (alive && e->handle != 0 &&
		    (e->loaded || is_session(e->handle)))
			flush(tpm, e->handle);
		entry_drop(e);
	}
}

void
space_close(struct tpm *tpm, struct space *space)
{
	bool alive = tpm->fd >= 0 && space->epoch == tpm->epoch;

	table_close(tpm, space->objects, SPACE_OBJECTS, alive);
	table_close(tpm, space->sessions, SPACE_SESSIONS, alive);
	if (tpm->current == space)
		tpm->current = NULL;
	free(space);
}

/* Flag 0x80000000: found (TPMA_CC never has it: it is reserved). */
static uint32_t
command_attrs(const struct tpm *tpm, uint32_t cc)
{
	for (size_t i = 0; i < tpm->n_cc; i++) {
		uint32_t attrs = tpm->cc_attrs[i];

		if (CC_INDEX(attrs) != cc)
			continue;
		/* As the kernel: a parameter there, but a handle to map. */
		if (cc == TPM_CC_FLUSH_CONTEXT || cc == TPM_CC_CONTEXT_SAVE)
			attrs = (attrs & ~(7u << 25)) | 1u << 25;
		return attrs | 1u << 31;
	}
	return 0;
}

static void
respond(struct buf *rsp, uint32_t rc)
{
	rsp->len = 0;
	buf_be16(rsp, TPM_ST_NO_SESSIONS);
	buf_be32(rsp, TPM_HEADER);
	buf_be32(rsp, rc);
}

/* Virtual to physical, in the command itself. */
static int
map_handles(struct space *space, uint8_t *cmd, size_t len, uint32_t n)
{
	if (len < TPM_HEADER + 4 * (size_t)n)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t *at = cmd + TPM_HEADER + 4 * i;
		struct space_entry *e;

		if (!is_transient(get_be32(at)))
			continue;
		e = find_virtual(space, get_be32(at));
		if (e == NULL)
			return -EINVAL;
		set_be32(at, e->handle);
	}
	return 0;
}

static struct space_entry *
find_physical(struct space *space, uint32_t handle)
{
	if (is_session(handle))
		return find_session(space, handle);
	for (size_t i = 0; i < SPACE_OBJECTS; i++)
		if (space->objects[i].handle == handle)
			return &space->objects[i];
	return NULL;
}

/* What the command took out of the TPM leaves the space. */
static void
forget_flushed(struct space *space, const uint8_t *cmd, uint32_t attrs)
{
	uint32_t cc = CC_INDEX(attrs);

	for (uint32_t i = 0; i < CC_HANDLES(attrs); i++) {
		uint32_t handle = get_be32(cmd + TPM_HEADER + 4 * i);
		struct space_entry *e = find_physical(space, handle);
		/* A session that its user saved is his to load again. */
		bool saved = cc == TPM_CC_CONTEXT_SAVE && is_session(handle);

		if (e != NULL &&
		    (cc == TPM_CC_FLUSH_CONTEXT || saved ||
			(CC_FLUSHED(attrs) && is_transient(handle))))
			entry_drop(e);
	}
}

/* Sequence objects change with every update: their context cannot be kept. */
static bool
is_sequence(uint32_t cc)
{
	return cc == 0x15B /* HMAC_Start */ ||
	    cc == 0x186 /* HashSequenceStart */ || cc == TPM_CC_CONTEXT_LOAD;
}

/* A handle in the response: enter it, and show the virtual one. */
static int
map_result(struct tpm *tpm, struct space *space, uint32_t cc, struct buf *rsp)
{
	uint32_t handle = get_be32(rsp->p + TPM_HEADER);
	struct space_entry *e = find_physical(space, handle);
	bool session = is_session(handle);

	if (!session && !is_transient(handle))
		return 0;
	if (e == NULL)
		e = session ? find_free(space->sessions, SPACE_SESSIONS) :
			      find_free(space->objects, SPACE_OBJECTS);
	if (e == NULL) {
		respond(rsp, session ? RC_SESSION_MEMORY : RC_OBJECT_MEMORY);
		return flush(tpm, handle);
	}
	entry_drop(e);
	e->handle = handle;
	e->loaded = true;
	e->keep = !session && !is_sequence(cc);
	if (!session)
		set_be32(rsp->p + TPM_HEADER,
		    VIRTUAL_FIRST - (uint32_t)(e - space->objects));
	return 0;
}

/*
 * TPM2_GetCapability(TPM_CAP_HANDLES) over transient handles is answered from
 * the space: the TPM knows only physical ones, of everybody.
 */
static bool
answer_handles(const struct space *space, const uint8_t *cmd, size_t len,
    struct buf *rsp)
{
	uint32_t from, max, n = 0, all = 0;
	size_t count_at;
	uint8_t be[4];

	if (len != TPM_HEADER + 12 ||
	    get_be32(cmd + 6) != TPM_CC_GET_CAPABILITY ||
	    get_be32(cmd + 10) != 1 || cmd[14] != HT_TRANSIENT)
		return false;
	from = get_be32(cmd + 14);
	max = get_be32(cmd + 18);
	respond(rsp, 0);
	buf_u8(rsp, 0);
	buf_be32(rsp, 1);
	count_at = rsp->len;
	buf_be32(rsp, 0);
	for (uint32_t i = SPACE_OBJECTS; i-- > 0;) {
		if (space->objects[i].handle == 0 || VIRTUAL_FIRST - i < from)
			continue;
		all++;
		if (n == max)
			continue;
		buf_be32(rsp, VIRTUAL_FIRST - i);
		n++;
	}
	rsp->p[TPM_HEADER] = all > n;
	set_be32(be, n);
	buf_set(rsp, count_at, be, sizeof(be));
	set_be32(be, (uint32_t)rsp->len);
	buf_set(rsp, 2, be, sizeof(be));
	return true;
}

int
space_transmit(struct tpm *tpm, struct space *space, uint8_t *cmd, size_t len,
    struct buf *rsp)
{
	uint32_t attrs, cc;
	int r;

	if (len < TPM_HEADER)
		return -EINVAL;
	cc = get_be32(cmd + 6);
	if (tpm->fd < 0 || space->epoch != tpm->epoch)
		return -EIO;
	attrs = command_attrs(tpm, cc);
	if (attrs == 0) {
		respond(rsp, RC_NO_COMMAND);
		return 0;
	}
	if (answer_handles(space, cmd, len, rsp))
		return 0;
	r = space_enter(tpm, space);
	if (r < 0)
		return r;
	r = map_handles(space, cmd, len, CC_HANDLES(attrs));
	if (r < 0)
		return r;
	r = tpm_transmit(tpm, cmd, len, rsp);
	if (r < 0 || get_be32(rsp->p + 6) != 0)
		return r;
	forget_flushed(space, cmd, attrs);
	if (CC_R_HANDLE(attrs) && rsp->len >= TPM_HEADER + 4)
		return map_result(tpm, space, cc, rsp);
	return 0;
}
