/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LOLWUT: a ship in section. Walls part her hull; whatever comes in where she was holed stays in that compartment, which is what
 * bulkheads are for. Which one it is, and how high the water stands, is drawn by lot.
 *
 * Runs in workers. Owns a canvas of private memory while it draws. Takes no locks.
 */
#include <stdlib.h>

#include "args.h"
#include "base/hash.h"
#include "base/num.h"
#include "base/panic.h"
#include "base/version.h"

#define DECK 12 /* dots from one deck to the next */
#define SKY 4   /* dots above the uppermost deck */

/* Dots, eight to a character of the braille block: two wide, four high. */
struct canvas {
	int columns, lines;
	unsigned char *cells;
};

/* What is asked for. */
struct ship {
	int columns;            /* width in characters */
	int compartments, decks; /* beside each other, above each other */
};

static void canvas_create(struct canvas *c, int columns, int lines)
{
	*c = (struct canvas){columns, lines, calloc((size_t)columns, (size_t)lines)};
	if (c->cells == NULL)
		fatal("out of memory for a drawing");
}

static void dot(struct canvas *c, int x, int y)
{
	static const unsigned char bits[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};

	if (x >= 0 && y >= 0 && x / 2 < c->columns && y / 4 < c->lines)
		c->cells[(size_t)(y / 4) * (size_t)c->columns + (size_t)(x / 2)] |= bits[x % 2][y % 4];
}

static void print(const struct canvas *c, struct buf *out)
{
	for (int line = 0; line < c->lines; line++) {
		for (int column = 0; column < c->columns; column++) {
			unsigned char dots = c->cells[(size_t)line * (size_t)c->columns + (size_t)column];
			char utf8[] = {(char)0xe2, (char)(0xa0 | dots >> 6), (char)(0x80 | (dots & 0x3f))};
			buf_append(out, utf8, sizeof utf8);
		}
		buf_append_char(out, '\n');
	}
}

/* How deep the hull is at x, in dots: the outer fifths of her curve up to bow and stern. */
static int depth(int x, int width, int height)
{
	int fifth = width / 5, from_end = x < width - 1 - x ? x : width - 1 - x;

	if (fifth == 0 || from_end >= fifth)
		return height;
	int64_t out = fifth - from_end;
	return height - (int)(height * out * out / ((int64_t)fifth * fifth) * 3 / 4);
}

static int wall_at(const struct ship *s, int wall)
{
	return (int)((int64_t)wall * (2 * s->columns - 1) / s->compartments);
}

static void draw_hull(struct canvas *c, const struct ship *s)
{
	int width = 2 * s->columns, height = s->decks * DECK;

	for (int x = 0; x < width; x++) {
		int bottom = depth(x, width, height);
		for (int deck = 0; deck <= s->decks; deck++)
			if (deck * DECK <= bottom && deck < s->decks)
				dot(c, x, SKY + deck * DECK);
		/* Down to where the next column's bottom is, so that the line is closed. */
		int next = x + 1 < width ? depth(x + 1, width, height) : bottom;
		for (int y = bottom < next ? bottom : next; y <= (bottom < next ? next : bottom); y++)
			dot(c, x, SKY + y);
	}
	for (int wall = 0; wall <= s->compartments; wall++) {
		int x = wall_at(s, wall);
		for (int y = 0; y <= depth(x, width, height); y++)
			dot(c, x, SKY + y);
	}
}

/* Round windows, two to a compartment that is wide enough. */
static void draw_windows(struct canvas *c, const struct ship *s)
{
	static const signed char ring[][2] = {{0, -2}, {1, -2}, {2, -1}, {2, 0}, {1, 1}, {0, 1}, {-1, 0}, {-1, -1}};
	int width = 2 * s->columns, each = width / s->compartments;

	for (int i = 0; i < s->compartments * 2 && each >= 12; i++) {
		int x = (wall_at(s, i / 2) * (i % 2 ? 1 : 3) + wall_at(s, i / 2 + 1) * (i % 2 ? 3 : 1) + 2) / 4;
		int bottom = depth(x, width, s->decks * DECK);
		for (int deck = 0; deck < s->decks && (deck + 1) * DECK <= bottom; deck++)
			for (size_t k = 0; k < sizeof ring / sizeof ring[0]; k++)
				dot(c, x + ring[k][0], SKY + deck * DECK + DECK / 2 + ring[k][1]);
	}
}

static void draw_water(struct canvas *c, const struct ship *s, uint32_t lot)
{
	int width = 2 * s->columns, height = s->decks * DECK;
	int compartment = (int)(lot % (uint32_t)s->compartments), deck = (int)((lot >> 10) % (uint32_t)s->decks);
	int level = deck * DECK + 3 + (int)((lot >> 20) % (DECK - 4));
	int from = wall_at(s, compartment), to = wall_at(s, compartment + 1);

	for (int x = from + 1; x < to; x++) {
		int bottom = depth(x, width, height), floor = (deck + 1) * DECK;
		for (int y = level + (x / 3 % 2); y < (floor < bottom ? floor : bottom); y++)
			if ((x + y) % 2 == 0 || y <= level + 1)
				dot(c, x, SKY + y);
	}
}

static void draw(const struct ship *s, struct buf *out)
{
	struct canvas c;
	uint32_t lot;

	random_bytes(&lot, sizeof lot);
	canvas_create(&c, s->columns, (SKY + s->decks * DECK + 4) / 4);
	draw_hull(&c, s);
	draw_windows(&c, s);
	draw_water(&c, s, lot);
	print(&c, out);
	free(c.cells);
}

static int clamp(int64_t v, int most)
{
	return v < 1 ? 1 : v > most ? most : (int)v;
}

/* After VERSION 5 or 6: the width, and how many compartments and decks. Other versions take no words of their own. */
static bool ship_options(struct cmd *c, struct ship *s)
{
	int64_t version, n[3] = {s->columns, s->compartments, s->decks};
	int words = 0;

	if (c->argc < 3 || !arg_ieq(&c->argv[1], "VERSION"))
		return true;
	if (!want_i64(c, &c->argv[2], &version))
		return false;
	if (version == 5 || version == 6)
		words = version == 5 ? 3 : 2;
	for (int i = 0; i < words && 3 + i < c->argc; i++)
		if (!want_i64(c, &c->argv[3 + i], &n[i]))
			return false;
	*s = (struct ship){clamp(n[0], 1000), clamp(n[1], 200), clamp(n[2], 200)};
	return true;
}

enum cmd_result cmd_lolwut(struct cmd *c)
{
	struct ship ship = {.columns = 66, .compartments = 8, .decks = 3};
	struct buf text;

	if (!ship_options(c, &ship))
		return CMD_DONE;
	buf_init(&text);
	draw(&ship, &text);
	buf_append_str(&text, "\nBulkhead ver. " BULKHEAD_VERSION " (as Redis ver. " REDIS_COMPAT_VERSION ")\n");
	reply_verbatim(c->out, "txt", text.data, text.len);
	buf_deinit(&text);
	return CMD_DONE;
}
