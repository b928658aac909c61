/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes from the kernel, for hash seeds and ids (base/hash.h; the hash itself is there).
 *
 * Runs in every process. Owns nothing, no locks, nothing to clean up.
 */
#include "base/hash.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/panic.h"

void random_bytes(void *p, size_t n)
{
	char *w = p;
	while (n > 0) {
		ssize_t got = getrandom(w, n, 0);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			fatal("getrandom: %m");
		}
		w += got;
		n -= (size_t)got;
	}
}

void hash_seed_random(uint64_t key[2])
{
	random_bytes(key, 2 * sizeof(key[0]));
}
