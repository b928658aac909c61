/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the command parser. For any bytes: no bad access (run it with sanitizers), arguments lie inside the buffer,
 * the parser makes progress, and the outcome is the same however the bytes are cut into pieces.
 *
 * Built and run as fuzz.h says; on its own it mutates a built-in corpus.
 */
#include <string.h>

#include "wire/resp_parse.h"
#include "fuzz.h"

/* What was parsed, in one number. */
struct digest {
	uint64_t value;
	size_t commands;
	enum resp_result last;
};

static void add(struct digest *d, const void *p, size_t n)
{
	d->value = fuzz_digest(d->value, p, n);
}

/* Gives the parser all bytes in pieces of at most `piece`, each time in a block of exactly their size. */
static struct digest parse(const uint8_t *data, size_t size, size_t piece, const struct resp_limits *limits)
{
	struct digest d = {.last = PARSE_MORE};
	struct resp_parser p;
	struct buf in;
	resp_parser_init(&p);
	buf_init(&in);

	for (size_t at = 0; at < size && d.last == PARSE_MORE; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		resp_parser_compact(&p, &in);
		char *exact = malloc(in.len + n);
		CHECK(exact);
		if (in.len)
			memcpy(exact, in.data, in.len);
		memcpy(exact + in.len, data + at, n);
		free(in.data);
		in = (struct buf){.data = exact, .len = in.len + n, .cap = in.len + n};

		size_t before = p.consumed;
		while ((d.last = resp_parse(&p, &in, limits)) == PARSE_COMMAND) {
			CHECK(p.argc > 0 && p.consumed > before && p.consumed <= in.len);
			for (size_t i = 0; i < p.argc; i++) {
				const struct arg *a = &p.argv[i];
				CHECK(a->p >= in.data + before && a->p + a->n <= in.data + p.consumed);
				add(&d, a->p, a->n);
			}
			add(&d, &p.argc, sizeof(p.argc));
			d.commands++;
			before = p.consumed;
		}
		CHECK(p.consumed <= in.len);
		CHECK(p.wanted == 0 || (d.last == PARSE_MORE && p.wanted > 2));
	}
	if (d.last == PARSE_ERROR) {
		CHECK(memchr(p.error, '\0', sizeof(p.error)) && strncmp(p.error, "Protocol error: ", 16) == 0);
		add(&d, p.error, strlen(p.error));
	}
	resp_parser_deinit(&p);
	buf_deinit(&in);
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct resp_limits limits[] = {{.authenticated = true, .proto_max_bulk_len = 512 << 20},
						    {.authenticated = false, .proto_max_bulk_len = 100000}};
	if (size == 0 || size >= RESP_INLINE_MAX) /* longer lines may be refused or not, by how they come */
		return 0;
	for (size_t l = 0; l < 2; l++) {
		struct digest whole = parse(data, size, size, &limits[l]);
		size_t pieces[] = {size < 2000 ? 1 : 61, 7, 1 + data[0], size / 2 + 1};
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			struct digest d = parse(data, size, pieces[i], &limits[l]);
			CHECK(d.value == whole.value && d.commands == whole.commands && d.last == whole.last);
		}
	}
	return 0;
}

#ifndef FUZZ_ENGINE

#include "mutate.h"

static const char *const corpus[] = {
    "*1\r\n$4\r\nPING\r\n",
    "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n",
    "PING\r\n\r\nset a \"b\\x41\\n\" 'c\\'d'\r\n",
    "*0\r\n*-1\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    "*1\r\n$100000\r\nabcdef",
    "*12\r\n$1\r\na\r\n$1\r\nb\r\n",
    "*1\r\n$20000\r\n",
    "*9223372036854775807\r\n$-1\r\n",
    "*2\r\n$11\r\nhello\r\n\"'x\r\n$3\r\nabc\r\nget \"x\" y\n",
};

static const char *const tokens[] = {"*",
				     "$",
				     "\r\n",
				     "\r",
				     "\n",
				     "\"",
				     "'",
				     "\\x",
				     "-1",
				     "0",
				     "1",
				     "2",
				     "10",
				     "*1\r\n",
				     "$1\r\n",
				     "$4\r\nPING\r\n",
				     "\\",
				     " ",
				     "post",
				     "Host:",
				     "99999999999999999999",
				     "2147483648",
				     "65536"};

int main(int argc, char **argv)
{
	static const struct fuzz f = {corpus, sizeof(corpus) / sizeof(corpus[0]), tokens, sizeof(tokens) / sizeof(tokens[0])};

	return fuzz_run(argc, argv, &f);
}

#endif
