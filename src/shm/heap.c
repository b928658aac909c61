/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slab heaps. Run by every process that maps the store.
 *
 * Owns heaps and slab headers; locks: the heap's (leaf), the arena's within. All changes are leaf operations of the caller, so a death
 * in the middle is undone word by word. A slab's bitmap is the truth about its blocks; `nused` and the heap's sums follow it in the
 * same operation.
 */
#include "shm/heap.h"

#include <sched.h>

#include "shm/arena.h"
#include "shm/leaf.h"
#include "slab.h"

/*
 * Steps of 8 to 128, 16 to 256, 32 to 512, then multiples of 64 about 12% apart, the largest dividing a slab evenly. From 512 on
 * (and at 64, 128, 192 ...) blocks are 64-aligned, which index tables ask for.
 */
static const uint16_t class_size[] = {
	16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352,
	384, 416, 448, 480, 512, 576, 640, 704, 768, 832, 896, 960, 1024, 1088, 1152, 1216, 1280, 1344, 1408, 1472, 1536, 1728, 1920, 2112, 2368, 2624,
	2944, 3264, 3648, 4096, 4608, 5184, 5824, 6528, 7296, 8192, 9344, 10880, 13056, 16320, 21760, 32704,
};
#define CLASSES (sizeof class_size / sizeof class_size[0])
#define CLASS_MAX 32704u
_Static_assert(CLASSES <= CLASSES_MAX, "the heap has a list per class");

static unsigned class_of(uint64_t size)
{
	if (size <= 128)
		return size <= 16 ? 0 : (unsigned)(size + 7) / 8 - 2;
	unsigned lo = 15, hi = CLASSES - 1;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (class_size[mid] < size)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint64_t run_slabs(uint64_t size)
{
	return (size + RUN_HEAD + SLAB_BYTES - 1) / SLAB_BYTES;
}

uint64_t heap_slabs_for(uint64_t size)
{
	return size <= CLASS_MAX ? 0 : run_slabs(size);
}

uint64_t heap_class_size(uint64_t size)
{
	return size <= CLASS_MAX ? class_size[class_of(size)] : run_slabs(size) * SLAB_BYTES - RUN_HEAD;
}

static struct slab *slab_of(ref block)
{
	if (block.off < SUPER->fixed || block.off >= store_end())
		panic("block %#llx is outside the arena", (unsigned long long)block.off);
	return (struct slab *)(STORE_BASE + (block.off & ~(uint64_t)(SLAB_BYTES - 1)));
}

uint64_t heap_block_size(ref block)
{
	const struct slab *s = slab_of(block);
	return s->magic == RUN_MAGIC ? (uint64_t)s->nslabs * SLAB_BYTES - RUN_HEAD : s->size;
}

uint64_t heap_block_bytes(ref block)
{
	const struct slab *s = peek((ref){block.off & ~(uint64_t)(SLAB_BYTES - 1)}, sizeof *s);

	if (!s)
		return 0;
	if (__atomic_load_n(&s->magic, __ATOMIC_RELAXED) == RUN_MAGIC)
		return (uint64_t)__atomic_load_n(&s->nslabs, __ATOMIC_RELAXED) * SLAB_BYTES;
	return __atomic_load_n(&s->size, __ATOMIC_RELAXED);
}

/* ---- lists of slabs with room ---- */

static void list_add(struct heap *h, struct slab *s)
{
	ref *head = &h->partial[s->class];
	leaf_set(&s->next.off, head->off);
	leaf_set(&s->prev.off, 0);
	if (head->off)
		leaf_set(&((struct slab *)at(*head))->prev.off, ref_of(s).off);
	leaf_set(&head->off, ref_of(s).off);
}

static void list_remove(struct heap *h, struct slab *s)
{
	if (s->prev.off)
		leaf_set(&((struct slab *)at(s->prev))->next.off, s->next.off);
	else
		leaf_set(&h->partial[s->class].off, s->next.off);
	if (s->next.off)
		leaf_set(&((struct slab *)at(s->next))->prev.off, s->prev.off);
}

/* ---- slabs ---- */

/* How many blocks of a size a slab has, and where the first one is. */
static void slab_shape(uint32_t size, uint32_t *nblocks, uint32_t *data_off)
{
	uint32_t n = (SLAB_BYTES - sizeof(struct slab)) / size, words, data;
	uint32_t align = size % 64 == 0 ? 64 : 8;
	do {
		words = (n + 63) / 64;
		data = ((uint32_t)sizeof(struct slab) + words * 8 + align - 1) / align * align;
	} while (data + n * size > SLAB_BYTES && n-- > 0);
	*nblocks = n;
	*data_off = data;
}

bool slab_has_shape(const struct slab *s)
{
	uint32_t n, data;
	if (s->heap >= SUPER->heaps || s->class >= CLASSES || s->size != class_size[s->class])
		return false;
	slab_shape(s->size, &n, &data);
	return s->nblocks == n && s->data_off == data;
}

static struct slab *slab_create(struct heap *h, unsigned class, bool urgent)
{
	uint64_t i = arena_take(1, urgent);
	if (i == SLAB_NONE)
		return NULL;
	/* Nobody can know the slab yet: its header needs no undo. */
	struct slab *s = (struct slab *)(STORE_BASE + slab_off(i));
	uint32_t size = class_size[class], n, data;
	slab_shape(size, &n, &data);
	uint32_t words = (n + 63) / 64;
	*s = (struct slab){.magic = SLAB_MAGIC, .class = (uint16_t)class, .heap = (uint16_t)(h - store_heap(0)),
			   .nblocks = n, .data_off = data, .size = size};
	for (uint32_t w = 0; w < words; w++)
		s->bitmap[w] = 0;
	if (n % 64)
		s->bitmap[words - 1] = ~0ull << (n % 64);
	list_add(h, s);
	return s;
}

static ref slab_pick(struct heap *h, struct slab *s)
{
	uint64_t words = (s->nblocks + 63) / 64, w = s->hint < words ? s->hint : 0;
	while (s->bitmap[w] == ~0ull)
		if (++w == words)
			w = 0;
	unsigned bit = (unsigned)__builtin_ctzll(~s->bitmap[w]);
	leaf_set(&s->bitmap[w], s->bitmap[w] | 1ull << bit);
	s->hint = w;
	leaf_set(&s->nused, s->nused + 1);
	if (s->nused == s->nblocks)
		list_remove(h, s);
	return (ref){ref_of(s).off + s->data_off + (w * 64 + bit) * s->size};
}

struct sums {
	uint64_t *used, *meta, *aside;
};

static uint64_t refused; /* bytes of the last block that could not be had */

uint64_t heap_refused(void)
{
	return refused;
}

static void sums_add(struct sums s, enum block_kind kind, uint64_t bytes)
{
	leaf_set(s.used, *s.used + bytes);
	if (kind != BLOCK_DATA)
		leaf_set(s.meta, *s.meta + bytes);
	if (kind == BLOCK_ASIDE)
		leaf_set(s.aside, *s.aside + bytes);
}

static struct sums sums_of(struct heap *h)
{
	return (struct sums){&h->used, &h->meta, &h->aside};
}

static struct sums sums_of_runs(void)
{
	return (struct sums){&SUPER->arena.used, &SUPER->arena.meta, &SUPER->arena.aside};
}

static ref run_alloc(uint64_t size, enum block_kind kind, bool urgent)
{
	uint64_t n = run_slabs(size), i = arena_take(n, urgent);
	if (i == SLAB_NONE) {
		refused = size;
		return REF_NONE;
	}
	struct slab *s = (struct slab *)(STORE_BASE + slab_off(i));
	*s = (struct slab){.magic = RUN_MAGIC, .nslabs = (uint32_t)n, .data_off = RUN_HEAD};
	sums_add(sums_of_runs(), kind, n * SLAB_BYTES);
	return (ref){slab_off(i) + RUN_HEAD};
}

static struct heap *my_heap(void)
{
	int cpu = sched_getcpu();
	return store_heap(cpu < 0 ? 0 : (uint32_t)cpu % SUPER->heaps);
}

static ref block_from(struct heap *h, struct slab *s, enum block_kind kind)
{
	ref r = slab_pick(h, s);
	sums_add(sums_of(h), kind, s->size);
	return r;
}

/* No slab is to be had: perhaps another heap has one with room. Nothing has been changed under the locks that are held. */
static ref alloc_elsewhere(struct heap *mine, unsigned class, enum block_kind kind)
{
	leaf_drop(LEAF_ARENA);
	leaf_drop(LEAF_HEAP);
	for (uint32_t i = 0; i < SUPER->heaps; i++) {
		struct heap *h = store_heap(i);
		if (h == mine || !__atomic_load_n(&h->partial[class].off, __ATOMIC_RELAXED))
			continue;
		leaf_lock(LEAF_HEAP, &h->lock);
		if (h->partial[class].off)
			return block_from(h, at(h->partial[class]), kind);
		leaf_drop(LEAF_HEAP);
	}
	refused = class_size[class];
	return REF_NONE;
}

ref heap_alloc(uint64_t size, enum block_kind kind, bool urgent)
{
	if (size > CLASS_MAX)
		return size < SUPER->reserve ? run_alloc(size, kind, urgent) : REF_NONE;
	struct heap *h = my_heap();
	unsigned class = class_of(size);
	leaf_lock(LEAF_HEAP, &h->lock);
	struct slab *s = h->partial[class].off ? at(h->partial[class]) : slab_create(h, class, urgent);
	return s ? block_from(h, s, kind) : alloc_elsewhere(h, class, kind);
}

ref heap_fill(ref like, enum block_kind kind)
{
	unsigned class = slab_of(like)->class;
	struct heap *h = my_heap();
	leaf_lock(LEAF_HEAP, &h->lock);
	return h->partial[class].off ? block_from(h, at(h->partial[class]), kind) : alloc_elsewhere(h, class, kind);
}

static void run_free(struct slab *s, enum block_kind kind)
{
	uint64_t n = s->nslabs;
	arena_give(slab_index(ref_of(s).off), n);
	sums_add(sums_of_runs(), kind, -(n * SLAB_BYTES));
}

/* An empty slab goes back unless it is the class's only one with room. */
static void slab_release(struct heap *h, struct slab *s)
{
	if (h->partial[s->class].off == ref_of(s).off && !s->next.off)
		return;
	list_remove(h, s);
	arena_give(slab_index(ref_of(s).off), 1);
}

void heap_free(ref block, enum block_kind kind)
{
	struct slab *s = slab_of(block);
	uint64_t in = block.off & (SLAB_BYTES - 1);
	if (s->magic == RUN_MAGIC && in == RUN_HEAD) {
		run_free(s, kind);
		return;
	}
	if (s->magic != SLAB_MAGIC || in < s->data_off || s->heap >= SUPER->heaps)
		panic("free of %#llx: not a block", (unsigned long long)block.off);
	uint32_t i = (uint32_t)(in - s->data_off) / s->size;
	struct heap *h = store_heap(s->heap);
	leaf_lock(LEAF_HEAP, &h->lock);
	uint64_t *w = &s->bitmap[i / 64], bit = 1ull << (i % 64);
	if (!(*w & bit) || s->data_off + i * s->size != in)
		panic("free of %#llx: not allocated", (unsigned long long)block.off);
	leaf_set(w, *w & ~bit);
	if (i / 64 < s->hint)
		s->hint = i / 64;
	bool was_full = s->nused == s->nblocks;
	leaf_set(&s->nused, s->nused - 1);
	sums_add(sums_of(h), kind, -(uint64_t)s->size);
	if (s->closed)
		return;
	if (was_full)
		list_add(h, s);
	if (s->nused == 0)
		slab_release(h, s);
}

/* ---- emptying slabs ---- */

#define FILLS 16u          /* how full a slab is, in sixteenths */
#define LOOKED_AT 2048u    /* slabs of a list: a heap is not kept from others for longer */

/* What the slabs with room of one class hold, by how full they are. */
struct filling {
	uint32_t n[FILLS], take[FILLS];
	uint64_t room; /* blocks that are free */
};

static unsigned fill_of(const struct slab *s)
{
	return (unsigned)(s->nused * FILLS / s->nblocks);
}

static void look_at_list(struct heap *h, unsigned class, struct filling *f)
{
	if (!__atomic_load_n(&h->partial[class].off, __ATOMIC_RELAXED))
		return;
	leaf_lock(LEAF_HEAP, &h->lock);
	uint32_t n = 0;
	for (ref r = h->partial[class]; !ref_is_none(r) && n < LOOKED_AT; r = ((struct slab *)at(r))->next, n++) {
		const struct slab *s = at(r);
		f->n[fill_of(s)]++;
		f->room += s->nblocks - s->nused;
	}
	leaf_end();
}

/* How many of those that are so full may go, so that the rest has room for what they hold. Returns how many more. */
static uint32_t choose(struct filling *f, unsigned fill, uint64_t nblocks, uint32_t want)
{
	uint32_t n = 0;
	/* A slab that goes takes its room with it, and needs room for its blocks. */
	for (; n < f->n[fill] && n < want && f->room >= nblocks; n++)
		f->room -= nblocks;
	f->take[fill] = n;
	return n;
}

/* Nobody but who holds the lock sees a slab between two of these steps, and each is whole. */
static void close_one(struct heap *h, struct slab *s)
{
	if (s->nused < s->nblocks)
		list_remove(h, s);
	leaf_set(&s->closed, 1);
	leaf_set(&s->next.off, SUPER->arena.closed.off);
	leaf_set(&SUPER->arena.closed.off, ref_of(s).off);
	leaf_commit();
}

static uint32_t close_some(struct heap *h, unsigned class, struct filling *f)
{
	uint32_t closed = 0, n = 0;
	leaf_lock(LEAF_HEAP, &h->lock);
	for (ref r = h->partial[class]; !ref_is_none(r) && n < LOOKED_AT; n++) {
		struct slab *s = at(r);
		r = s->next;
		if (f->take[fill_of(s)] == 0)
			continue;
		f->take[fill_of(s)]--;
		close_one(h, s);
		closed++;
	}
	leaf_end();
	return closed;
}

static void look_at_all(struct filling f[CLASSES], uint32_t nblocks[CLASSES])
{
	uint32_t data;
	for (unsigned c = 0; c < CLASSES; c++) {
		slab_shape(class_size[c], &nblocks[c], &data);
		for (uint32_t h = 0; h < SUPER->heaps; h++)
			look_at_list(store_heap(h), c, &f[c]);
	}
}

uint64_t heap_could_gain(void)
{
	struct filling f[CLASSES] = {0};
	uint32_t nblocks[CLASSES];
	uint64_t could = 0;
	look_at_all(f, nblocks);
	for (unsigned c = 0; c < CLASSES; c++)
		could += f[c].room / nblocks[c];
	return could;
}

uint32_t heap_close(uint32_t want)
{
	struct filling f[CLASSES] = {0};
	uint32_t nblocks[CLASSES], chosen = 0, closed = 0;
	look_at_all(f, nblocks);
	for (unsigned fill = 0; fill < FILLS; fill++)
		for (unsigned c = 0; c < CLASSES; c++)
			chosen += choose(&f[c], fill, nblocks[c], want - chosen);
	for (unsigned c = 0; chosen && c < CLASSES; c++)
		for (uint32_t h = 0; h < SUPER->heaps; h++)
			if (__atomic_load_n(&store_heap(h)->partial[c].off, __ATOMIC_RELAXED))
				closed += close_some(store_heap(h), c, &f[c]);
	return closed;
}

static void close_in_list(struct heap *h, unsigned class, uint64_t first, uint64_t n)
{
	uint32_t seen = 0;
	leaf_lock(LEAF_HEAP, &h->lock);
	for (ref r = h->partial[class]; !ref_is_none(r) && seen < LOOKED_AT; seen++) {
		struct slab *s = at(r);
		uint64_t i = slab_index(r.off);
		r = s->next;
		if (i >= first && i - first < n)
			close_one(h, s);
	}
	leaf_end();
}

void heap_close_range(uint64_t first, uint64_t n)
{
	for (unsigned c = 0; c < CLASSES; c++)
		for (uint32_t h = 0; h < SUPER->heaps; h++)
			if (__atomic_load_n(&store_heap(h)->partial[c].off, __ATOMIC_RELAXED))
				close_in_list(store_heap(h), c, first, n);
}

void heap_close_of(ref block)
{
	struct slab *s = slab_of(block);
	if (s->magic != SLAB_MAGIC)
		return;
	struct heap *h = store_heap(s->heap);
	leaf_lock(LEAF_HEAP, &h->lock);
	if (!s->closed)
		close_one(h, s);
	leaf_end();
}

void heap_reopen(void)
{
	while (!ref_is_none(SUPER->arena.closed)) {
		struct slab *s = at(SUPER->arena.closed);
		struct heap *h = store_heap(s->heap);
		leaf_lock(LEAF_HEAP, &h->lock);
		leaf_set(&SUPER->arena.closed.off, s->next.off);
		leaf_set(&s->closed, 0);
		if (s->nused == 0)
			arena_give(slab_index(ref_of(s).off), 1);
		else if (s->nused < s->nblocks)
			list_add(h, s);
		leaf_end();
	}
}

void heap_each_closed(void (*each)(uint64_t slab))
{
	for (ref r = SUPER->arena.closed; !ref_is_none(r); r = ((struct slab *)at(r))->next)
		each(slab_index(r.off));
}

static uint64_t sum(size_t field)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < SUPER->heaps; i++)
		total += __atomic_load_n((uint64_t *)((char *)store_heap(i) + field), __ATOMIC_RELAXED);
	return total;
}

uint64_t heap_used(void)
{
	return sum(offsetof(struct heap, used)) + __atomic_load_n(&SUPER->arena.used, __ATOMIC_RELAXED);
}

uint64_t heap_meta(void)
{
	return sum(offsetof(struct heap, meta)) + __atomic_load_n(&SUPER->arena.meta, __ATOMIC_RELAXED);
}

uint64_t heap_counted(void)
{
	uint64_t total = __atomic_load_n(&SUPER->arena.used, __ATOMIC_RELAXED) - __atomic_load_n(&SUPER->arena.aside, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < SUPER->heaps; i++)
		total += __atomic_load_n(&store_heap(i)->used, __ATOMIC_RELAXED) - __atomic_load_n(&store_heap(i)->aside, __ATOMIC_RELAXED);
	return total;
}

uint64_t heap_aside(void)
{
	return sum(offsetof(struct heap, aside)) + __atomic_load_n(&SUPER->arena.aside, __ATOMIC_RELAXED);
}

void heap_each(void (*each)(void *arg, ref block, uint64_t size), void *arg)
{
	uint64_t end = SUPER->arena.nextents * SLABS_PER_EXTENT;
	for (uint64_t i = 0; i < end;) {
		const struct slab *s = (const struct slab *)(STORE_BASE + slab_off(i));
		if (!arena_is_backed(i) || !arena_is_taken(i)) {
			i++;
		} else if (s->magic == RUN_MAGIC) {
			each(arg, (ref){slab_off(i) + RUN_HEAD}, (uint64_t)s->nslabs * SLAB_BYTES - RUN_HEAD);
			i += s->nslabs;
		} else {
			ASSERT(s->magic == SLAB_MAGIC);
			for (uint32_t b = 0; b < s->nblocks; b++)
				if (s->bitmap[b / 64] >> (b % 64) & 1)
					each(arg, (ref){slab_off(i) + s->data_off + b * s->size}, s->size);
			i++;
		}
	}
}
