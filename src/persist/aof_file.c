/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing an increment of an append only file (persist/aof_file.h).
 *
 * Runs in the AOF writer. Owns the descriptor; every write says where it goes, so one that was cut short is simply done again. No locks. Death
 * at any point leaves some bytes behind the last whole record; who goes on knows where that ends, and cuts the file.
 */
#include "persist/aof_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"

/* ---- mishaps on order, for tests ---- */

#ifdef BULKHEAD_DEBUG
/*
 * A file named by BULKHEAD_FAULTS holds "write ERRNO", "fsync ERRNO" or "slow MS": as long as it does, writes and syncs fail so, or syncs take so long.
 */
static bool fault(const char *what, int *number)
{
	char text[64] = "";
	const char *path = getenv("BULKHEAD_FAULTS");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		return false;
	ssize_t n = io_read_full(fd, text, sizeof text - 1);
	close(fd);
	size_t len = strlen(what);
	if (n < (ssize_t)len + 2 || memcmp(text, what, len) != 0 || text[len] != ' ')
		return false;
	*number = atoi(text + len + 1);
	return true;
}

static int write_fault(void)
{
	return fault("write", &errno) ? -1 : 0;
}

static int sync_fault(void)
{
	int ms;
	if (fault("slow", &ms))
		nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
	return fault("fsync", &errno) ? -1 : 0;
}
#else
#define write_fault() 0
#define sync_fault() 0
#endif

/* ---- the two kinds of file ---- */

#ifdef BULKHEAD_LOSSY_FILES

static void begin(struct aof_file *f)
{
	pthread_mutex_init(&f->lock, NULL);
	buf_init(&f->held);
	f->held_at = f->end;
}

static ssize_t put(struct aof_file *f, const struct iovec *iov, int n)
{
	ssize_t sum = 0;
	pthread_mutex_lock(&f->lock);
	for (int i = 0; i < n; i++) {
		buf_append(&f->held, iov[i].iov_base, iov[i].iov_len);
		sum += (ssize_t)iov[i].iov_len;
	}
	pthread_mutex_unlock(&f->lock);
	return sum;
}

static void cut(struct aof_file *f)
{
	pthread_mutex_lock(&f->lock);
	if (f->size >= f->held_at)
		f->held.len = f->size - f->held_at;
	pthread_mutex_unlock(&f->lock);
}

static int flush(struct aof_file *f)
{
	struct buf taken;
	pthread_mutex_lock(&f->lock);
	taken = f->held;
	uint64_t where = f->held_at;
	buf_init(&f->held);
	f->held_at += taken.len;
	pthread_mutex_unlock(&f->lock);
	int failed = io_pwrite_full(f->fd, taken.data, taken.len, (off_t)where);
	buf_deinit(&taken);
	return failed;
}

static void end(struct aof_file *f)
{
	buf_deinit(&f->held);
}

#else

static void begin(struct aof_file *f)
{
	(void)f;
}

static ssize_t put(struct aof_file *f, const struct iovec *iov, int n)
{
	return pwritev(f->fd, iov, n, (off_t)f->end);
}

/* Whoever copies the file sees whole records. Should that fail, the next write covers it. */
static void cut(struct aof_file *f)
{
	if (ftruncate(f->fd, (off_t)f->size))
		return;
}

static int flush(struct aof_file *f)
{
	(void)f;
	return 0;
}

static void end(struct aof_file *f)
{
	(void)f;
}

#endif

/* ---- the contract ---- */

static int take(struct aof_file *f, int fd, uint64_t size)
{
	*f = (struct aof_file){.fd = fd, .size = size, .end = size};
	begin(f);
	return 0;
}

int aof_file_create(struct aof_file *f, int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return fd < 0 ? -1 : take(f, fd, 0);
}

static int open_file(int dir, const char *name, uint64_t *size)
{
	struct stat st;
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
		return fd;
	}
	close(fd);
	errno = EINVAL;
	return -1;
}

int aof_file_open(struct aof_file *f, int dir, const char *name, uint64_t size)
{
	uint64_t there;
	int fd = open_file(dir, name, &there);
	if (fd < 0)
		return -1;
	if (there >= size && (there == size || ftruncate(fd, (off_t)size) == 0))
		return take(f, fd, size);
	int why = there < size ? EBADMSG : errno;
	close(fd);
	errno = why;
	return -1;
}

int aof_file_open_end(struct aof_file *f, int dir, const char *name)
{
	uint64_t size;
	int fd = open_file(dir, name, &size);
	return fd < 0 ? -1 : take(f, fd, size);
}

static void skip(struct iovec **iov, int *n, size_t done)
{
	while (*n && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		++*iov;
		--*n;
	}
	if (*n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

static int failed_append(struct aof_file *f)
{
	int why = errno;
	cut(f);
	f->end = f->size;
	errno = why;
	return -1;
}

int aof_file_append(struct aof_file *f, struct iovec *iov, int n)
{
	if (write_fault())
		return failed_append(f);
	for (skip(&iov, &n, 0); n;) {
		ssize_t put_there = put(f, iov, n);
		if (put_there < 0 && errno == EINTR)
			continue;
		if (put_there < 0)
			return failed_append(f);
		f->end += (uint64_t)put_there;
		skip(&iov, &n, (size_t)put_there);
	}
	return 0;
}

int aof_file_sync(struct aof_file *f)
{
	return flush(f) || sync_fault() || fdatasync(f->fd) ? -1 : 0;
}

void aof_file_close(struct aof_file *f)
{
	if (f->fd >= 0)
		end(f);
	io_close(&f->fd);
}
