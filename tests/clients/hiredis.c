/* SPDX-License-Identifier: BSD-2-Clause */
/* One case with libhiredis against the server on a port: hiredis PORT CASE. Built and run by tests/83-hiredis.bats. */
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

static int port;

static redisContext *connect_to_server(void)
{
	redisContext *c = redisConnect("127.0.0.1", port);
	CHECK(c != NULL && c->err == 0);
	return c;
}

/* The reply must be a text or an error with exactly this content. */
static void expect(redisContext *c, int type, const char *want, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	redisReply *r = redisvCommand(c, format, ap);
	va_end(ap);
	CHECK(r != NULL);
	if (r->type != type || strcmp(r->str, want) != 0) {
		fprintf(stderr, "%s: type %d, %s\n", format, r->type, r->str ? r->str : "(no text)");
		exit(1);
	}
	freeReplyObject(r);
}

static long long number(redisContext *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	redisReply *r = redisvCommand(c, format, ap);
	va_end(ap);
	CHECK(r != NULL && r->type == REDIS_REPLY_INTEGER);
	long long n = r->integer;
	freeReplyObject(r);
	return n;
}

static void operations(redisContext *c)
{
	expect(c, REDIS_REPLY_STATUS, "PONG", "PING");
	expect(c, REDIS_REPLY_STATUS, "OK", "SET %s %s", "k", "a value");
	expect(c, REDIS_REPLY_STRING, "a value", "GET k");
	expect(c, REDIS_REPLY_STATUS, "OK", "SET bytes %b", "a\0b\r\n", (size_t)5);
	redisReply *r = redisCommand(c, "GET bytes");
	CHECK(r->len == 5 && memcmp(r->str, "a\0b\r\n", 5) == 0);
	freeReplyObject(r);
	r = redisCommand(c, "GET none");
	CHECK(r->type == REDIS_REPLY_NIL);
	freeReplyObject(r);
	CHECK(number(c, "INCRBY n %d", 41) == 41);
	CHECK(number(c, "SETBIT bits 7 1") == 0 && number(c, "BITCOUNT bits") == 1);
	expect(c, REDIS_REPLY_STATUS, "OK", "MSET a 1 b 2");
	r = redisCommand(c, "MGET a none b");
	CHECK(r->type == REDIS_REPLY_ARRAY && r->elements == 3 && r->element[1]->type == REDIS_REPLY_NIL);
	CHECK(strcmp(r->element[2]->str, "2") == 0);
	freeReplyObject(r);
	expect(c, REDIS_REPLY_ERROR, "ERR value is not an integer or out of range", "INCR k");
	CHECK(number(c, "DEL a b none") == 2);
}

static void pipelines(redisContext *c)
{
	for (int i = 0; i < 10000; i++) {
		CHECK(redisAppendCommand(c, "SET p%d %d", i, i) == REDIS_OK);
		CHECK(redisAppendCommand(c, "GET p%d", i) == REDIS_OK);
	}
	for (int i = 0; i < 10000; i++) {
		redisReply *set, *get;
		CHECK(redisGetReply(c, (void **)&set) == REDIS_OK && redisGetReply(c, (void **)&get) == REDIS_OK);
		CHECK(set->type == REDIS_REPLY_STATUS && get->type == REDIS_REPLY_STRING && atoi(get->str) == i);
		freeReplyObject(set);
		freeReplyObject(get);
	}
}

/* Another client kills the connection's process: the next command fails, redisReconnect goes on. */
static void reconnect(redisContext *c)
{
	redisContext *other = connect_to_server();
	expect(c, REDIS_REPLY_STATUS, "OK", "SET k before");
	CHECK(number(other, "CLIENT KILL ID %lld", number(c, "CLIENT ID")) == 1);
	CHECK(redisCommand(c, "GET k") == NULL && c->err != 0);
	CHECK(redisReconnect(c) == REDIS_OK);
	expect(c, REDIS_REPLY_STRING, "before", "GET k");
	redisFree(other);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(redisContext *c);
	} cases[] = {{"operations", operations}, {"pipelines", pipelines}, {"reconnect", reconnect}};

	CHECK(argc == 3);
	port = atoi(argv[1]);
	redisContext *c = connect_to_server();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (strcmp(argv[2], cases[i].name) == 0) {
			cases[i].run(c);
			redisFree(c);
			puts("well");
			return 0;
		}
	}
	fprintf(stderr, "no case %s\n", argv[2]);
	return 1;
}
