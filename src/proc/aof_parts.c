/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AOF writer's files: increments, bases that become part of the manifest, what goes when they do.
 *
 * Runs in the AOF writer alone, so nothing else changes these files while the log is on. Where the log goes stands in the ring's page (struct
 * aof_place), changed by one store, after the file is there and before anything is written to it. So each step may be the last one of its process: the
 * next writer finds the place, compares it with the manifest, and does the step again or goes on behind it. Takes the ring's lock for moments.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aof_writer.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/io.h"
#include "base/log.h"
#include "base/panic.h"
#include "persist/disk.h"
#include "proc/aof.h"
#include "shm/control.h"
#include "shm/region.h"
#include "shm/ring.h"

#define FOLLOW_MS 5000 /* between two tries to go on in the folder that has the name */

static uint64_t size_at(int dir, const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, 0) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t base_size(const struct aof_writer *w)
{
	const struct aof_part *base = aof_manifest_base(&w->m);
	return base ? size_at(w->dir, base->name) : 0;
}

/* Figures of the files: those of the manifest but the one that is written to. */
static void measure(struct aof_writer *w)
{
	w->others = base_size(w);
	for (const struct aof_part *p = NULL; (p = aof_manifest_next(&w->m, AOF_INCR, p)) != NULL;)
		if (!w->listed || p->seq != (int64_t)w->seq)
			w->others += size_at(w->dir, p->name);
	atomic_store(&ring()->aof_base_size, base_size(w));
	atomic_store(&ring()->aof_size, w->others + w->file.size);
}

/* ---- the place ---- */

static void set_place(struct aof_writer *w, uint64_t seq, uint64_t start, uint64_t rotations)
{
	struct ring *r = ring();
	uint64_t next = 1 - (atomic_load(&r->aof_current) & 1);
	r->aof_place[next] = (struct aof_place){seq, start, rotations};
	atomic_store(&r->aof_current, next);
	atomic_store(&r->aof_start, start);
	w->seq = seq;
	w->start = start;
	w->rotations = rotations;
}

static void drop_file(struct aof_writer *w)
{
	uint64_t offset;
	sync_wait(&offset);
	aof_file_close(&w->file);
}

/* ---- at the start ---- */

/*
 * There is no place, and the one before it was one: the writer before has given up its file, and died before it could say so. A log that was switched on
 * without files had none before either, for the end of the log before took it away.
 */
static bool was_given_up(const struct ring *r)
{
	uint64_t current = atomic_load(&r->aof_current) & 1;
	return ring_is_on() && !r->aof_place[current].seq && r->aof_place[1 - current].seq && !atomic_load(&r->failed);
}

/* Goes on where the writer before stopped: what it wrote and did not consume is cut off, and comes again. */
static void resume(struct aof_writer *w)
{
	struct ring *r = ring();
	char name[AOF_NAME_MAX];
	struct aof_place place = r->aof_place[atomic_load(&r->aof_current) & 1];
	w->pos = ring_consumed(&w->offset);
	w->seq = place.seq;
	w->start = w->synced = place.start;
	w->rotations = place.rotations;
	w->failed = (int)atomic_load(&r->failed);
	w->listed = w->seq && aof_manifest_incr(&w->m, (int64_t)w->seq);
	if (was_given_up(r))
		writer_fail(w, EIO, "Relying on the append only file");
	if (!w->seq)
		return;
	if (aof_incr_name(name, config->appendfilename, (int64_t)w->seq) ||
	    aof_file_open(&w->file, w->dir, name, w->offset - w->start)) {
		log_warning("Cannot go on with the AOF increment number %" PRIu64 ": %s", w->seq,
			    errno == EBADMSG ? "it has lost data" : strerror(errno));
		parts_distrust(w, errno);
		return;
	}
	if (w->listed)
		folder_note_increment(name);
	log_notice("Going on with the AOF increment %s at %" PRIu64, name, w->file.size);
}

/* The last increment, or a new one behind the base. */
static bool open_last(struct aof_writer *w)
{
	const struct aof_part *last = aof_manifest_last_incr(&w->m);
	struct aof_manifest next = {0};
	char name[AOF_NAME_MAX];
	if (last) {
		log_notice("Opening AOF incr file %s on server start", last->name);
		w->seq = (uint64_t)last->seq;
		folder_note_increment(last->name);
		return aof_file_open_end(&w->file, w->dir, last->name) == 0;
	}
	aof_manifest_copy(&next, &w->m);
	last = aof_manifest_new_incr(&next, config->appendfilename);
	if (!last || aof_file_create(&w->file, w->dir, last->name)) {
		aof_manifest_deinit(&next);
		return false;
	}
	memcpy(name, last->name, sizeof name);
	log_notice("Creating AOF incr file %s on server start", name);
	w->seq = (uint64_t)last->seq;
	folder_note_increment(name);
	return folder_replace_manifest(w, &next);
}

static bool is_named(const struct aof_writer *w)
{
	return aof_manifest_base(&w->m) || aof_manifest_last_incr(&w->m);
}

/* The log is off: switches it on, behind what the files hold, or with nowhere to go until there is a base. */
static bool begin(struct aof_writer *w)
{
	uint64_t at, offset, rotations = ring_rotations(&at);
	bool any = is_named(w), same = any && atomic_load(&control->persistence.aof_same);
	if (!any && !aof_set_aside(w->dir, config->appendfilename))
		return false;
	ring_fail(0);
	w->pos = ring_consumed(&w->offset);
	if (same && !open_last(w)) {
		log_warning("Cannot open the append only file: %s", strerror(errno));
		return false;
	}
	folder_note_manifest(w);
	w->listed = same;
	set_place(w, same ? w->seq : 0, w->offset - w->file.size, rotations);
	w->synced = w->offset;
	measure(w);
	atomic_store(&ring()->aof_rewrite_size, base_size(w));
	folder_remove_history(w);
	if (ring_switch_on(&offset))
		return true;
	log_warning("No memory for the log of the append only file");
	return false;
}

bool parts_open(struct aof_writer *w)
{
	uint64_t at;
	w->file.fd = -1;
	if (!ring_back()) {
		log_warning("No memory for the log of the append only file");
		return false;
	}
	if (!folder_open(w))
		return false;
	w->pos = ring_consumed(&w->offset);
	struct ring *r = ring();
	if (ring_is_on() || r->aof_place[atomic_load(&r->aof_current) & 1].seq || w->offset != atomic_load(&r->offset))
		resume(w);
	else if (atomic_load(&control->persistence.aof_on) && !atomic_load(&control->persistence.aof_drain))
		return begin(w);
	else
		w->rotations = ring_rotations(&at);
	measure(w);
	folder_remove_history(w);
	return true;
}

/* ---- a folder that is another one by now ---- */

/*
 * What is on disk is wherever it was taken to, and no start will look there: the files begin anew in the folder that has the name now. False: it
 * cannot be used.
 */
static bool follow_folder(struct aof_writer *w)
{
	static int64_t next_at;
	int64_t now = clock_mono_ms();
	int old = w->dir;
	if (now < next_at)
		return false;
	if (w->seq || !w->failed) {
		log_warning("The AOF directory %s has been moved or removed", control->persistence.aof_dir);
		parts_distrust(w, ENOENT);
	}
	aof_manifest_deinit(&w->m);
	if (!folder_open(w) || (!is_named(w) && !aof_set_aside(w->dir, config->appendfilename))) {
		if (w->dir >= 0)
			close(w->dir);
		w->dir = old;
		next_at = now + FOLLOW_MS;
		return false;
	}
	close(old);
	folder_note_manifest(w);
	return true;
}

/* ---- the next increment ---- */

/* The old one is synced before anything can be in the new one: what a machine that dies leaves has no gap. */
static bool finish_old(struct aof_writer *w)
{
	uint64_t offset;
	if (w->file.fd < 0 || (sync_wait(&offset) != SYNC_FAILED && aof_file_sync(&w->file) == 0))
		return true;
	parts_distrust(w, errno);
	return false;
}

/*
 * What is said to be durable in the increment is nowhere if the machine dies and the manifest that names it was not on disk. So until it is, it is
 * written again.
 */
static bool list_increment(struct aof_writer *w, int64_t seq)
{
	struct aof_manifest next = {0};
	bool named = aof_manifest_incr(&w->m, seq);
	if (!w->listed || (named && !w->unsettled))
		return true;
	aof_manifest_copy(&next, &w->m);
	if (named || aof_manifest_add_incr(&next, config->appendfilename, seq)) {
		bool written = folder_replace_manifest(w, &next);
		errno = written && w->unsettled ? EIO : errno;
		return written && !w->unsettled;
	}
	aof_manifest_deinit(&next);
	return false;
}

/* That of a rotation that was begun before is in the manifest already. */
static int64_t next_seq(const struct aof_writer *w)
{
	int64_t now = w->seq ? (int64_t)w->seq : w->m.incr_seq;
	if (w->listed && w->m.incr_seq > now)
		return w->m.incr_seq;
	return aof_manifest_next_seq(&w->m, config->appendfilename, now);
}

bool parts_rotate(struct aof_writer *w, uint64_t rotations, uint64_t at)
{
	char name[AOF_NAME_MAX], old[AOF_NAME_MAX] = "";
	struct aof_file file;
	if (folder_is_gone(w) && !follow_folder(w))
		return false;
	if (!finish_old(w))
		return true; /* nothing is relied on, and so it begins anew */
	int64_t seq = next_seq(w);
	if (aof_incr_name(name, config->appendfilename, seq) || aof_file_create(&file, w->dir, name)) {
		writer_fail(w, errno, "Creating the next AOF increment");
		return false;
	}
	if (w->listed)
		folder_note_increment(name);
	if (!list_increment(w, seq)) {
		writer_fail(w, errno, "Naming the next AOF increment in the manifest");
		aof_file_close(&file);
		return false;
	}
	log_notice("Creating AOF incr file %s on background rewrite", name);
	if (w->seq && !w->listed)
		aof_incr_name(old, config->appendfilename, (int64_t)w->seq);
	set_place(w, (uint64_t)seq, at, rotations);
	aof_file_close(&w->file);
	w->file = file;
	w->synced = at;
	if (*old)
		unlinkat(w->dir, old, 0);
	measure(w);
	/* If that was what failed there may be nothing to write that would tell so: writers are refused. */
	if (w->failed && w->listed)
		writer_fail(w, 0, NULL);
	return true;
}

void parts_distrust(struct aof_writer *w, int why)
{
	drop_file(w);
	w->listed = false;
	set_place(w, 0, w->start, w->rotations);
	writer_fail(w, why, "Relying on the append only file");
	log_warning("The append only file is given up for a new one: nothing is written until its base is on disk");
	writer_tell(AOF_NEWS_NEEDS_BASE, why);
}

void parts_close(struct aof_writer *w)
{
	char name[AOF_NAME_MAX];
	/* What continues a base that was never made is of no use to anybody. */
	if (w->seq && !w->listed && aof_incr_name(name, config->appendfilename, (int64_t)w->seq) == 0)
		unlinkat(w->dir, name, 0);
	drop_file(w);
	w->listed = false;
	set_place(w, 0, w->start, w->rotations);
}

/* ---- a base ---- */

/*
 * Gives the base its name. False: it has none, and there is no file to give it to. Done before: the file has its name, and the manifest may
 * even have it.
 */
static bool name_base(struct aof_writer *w, const char *name, bool *in_place)
{
	struct stat st;
	*in_place = false;
	if (renameat(w->dir, AOF_BASE_TEMP, w->dir, name) == 0)
		return true;
	if (errno != ENOENT)
		return false;
	*in_place = fstatat(w->dir, name, &st, 0) != 0;
	/* A manifest that lacks what is written now is an older one: then somebody has removed the file. */
	return !*in_place || (aof_manifest_base(&w->m) != NULL && (!w->seq || w->listed));
}

/* What the base replaces becomes history; what is written now is the one increment behind it, if there is a log. */
static bool retire(struct aof_writer *w, struct aof_manifest *next)
{
	aof_manifest_retire_incrs(next, w->listed ? 1 : 0);
	return w->listed || !w->seq || aof_manifest_add_incr(next, config->appendfilename, (int64_t)w->seq);
}

/* The file that is nobody's, by one of its names, goes: its disk may be full. */
static bool failed_install(struct aof_writer *w, const char *name)
{
	log_warning("Cannot make the rewritten base part of the append only file: %s", strerror(errno));
	unlinkat(w->dir, name, 0);
	return false;
}

static void installed(struct aof_writer *w)
{
	w->listed = w->seq != 0;
	w->synced = w->offset;
	measure(w);
	atomic_store(&ring()->aof_rewrite_size, w->others + w->file.size);
	if (w->failed)
		writer_fail(w, 0, NULL);
	if (atomic_load(&ring()->durable) < w->offset)
		ring_set_durable(w->offset);
	folder_remove_history(w);
}

/* The base has been given its name: has the manifest say so. The increment behind it is known as ours before that names it. */
static bool list_base(struct aof_writer *w, struct aof_manifest *next, const char *name)
{
	char incr[AOF_NAME_MAX];
	if (w->seq && aof_incr_name(incr, config->appendfilename, (int64_t)w->seq) == 0)
		folder_note_increment(incr);
	/* The name is on disk before the manifest names it. */
	if (retire(w, next) && io_sync_dir(w->dir) == 0)
		return folder_replace_manifest(w, next) || failed_install(w, name);
	aof_manifest_deinit(next);
	return failed_install(w, name);
}

bool parts_install(struct aof_writer *w, bool rdb)
{
	struct aof_manifest next = {0};
	char name[AOF_NAME_MAX];
	bool in_place;
	/* What it was to begin was given up meanwhile, or is now. */
	if ((folder_is_gone(w) && (!follow_folder(w) || ring_is_on())) || (ring_is_on() && !w->seq) || !finish_old(w)) {
		unlinkat(w->dir, AOF_BASE_TEMP, 0);
		return false;
	}
	aof_manifest_copy(&next, &w->m);
	const struct aof_part *base = aof_manifest_new_base(&next, config->appendfilename, rdb);
	if (base)
		memcpy(name, base->name, sizeof name);
	if (!base || !name_base(w, name, &in_place)) {
		aof_manifest_deinit(&next);
		return failed_install(w, AOF_BASE_TEMP);
	}
	if (in_place) {
		aof_manifest_deinit(&next);
	} else {
		log_notice("Successfully renamed the temporary AOF base file %s into %s", AOF_BASE_TEMP, name);
		if (!list_base(w, &next, name))
			return false;
	}
	installed(w);
	return true;
}
