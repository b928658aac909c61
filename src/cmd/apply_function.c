/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Libraries of functions in an append only file: FUNCTION LOAD, DELETE, FLUSH. No client can call them yet, but what came with the data is kept with
 * it (store/functions.h), so that what is saved has it again.
 *
 * Run by the loader. Owns nothing. Each change is several transactions; a death between them has the load begin anew, as any.
 */
#include "apply_function.h"

#include "store/functions.h"

static const char no_memory[] = "there is no memory for a library of functions";

bool apply_is_function(int argc, const struct arg *argv)
{
	return argc >= 2 && arg_ieq(&argv[0], "function") &&
	       ((arg_ieq(&argv[1], "load") && (argc == 3 || (argc == 4 && arg_ieq(&argv[2], "replace")))) ||
		(arg_ieq(&argv[1], "delete") && argc == 3) || (arg_ieq(&argv[1], "flush") && argc <= 3));
}

/* The name that the first line of a library gives it: "#!lua name=mylib". Empty: it has none. */
static struct arg name_of(const struct arg *code)
{
	static const char word[] = " name=";
	const char *end = memchr(code->p, '\n', code->n);
	size_t n = end ? (size_t)(end - code->p) : code->n;
	const char *name = memmem(code->p, n, word, sizeof word - 1);

	if (name == NULL)
		return (struct arg){"", 0};
	name += sizeof word - 1;
	n -= (size_t)(name - code->p);
	for (size_t i = 0; i < n; i++)
		if (str_is_space((unsigned char)name[i]))
			n = i;
	return (struct arg){name, n};
}

static bool is_named(const struct arg *code, const struct arg *name)
{
	struct arg its = name_of(code);

	return its.n == name->n && memcmp(its.p, name->p, its.n) == 0;
}

/* Forgets the library of that name, if there is one. */
static bool forget(const struct arg *name)
{
	struct buf all = {0};
	struct arg code;
	size_t at = 0;
	bool found = false, ok = functions_copy(&all);

	while (ok && !found && functions_next(&all, &at, &code))
		found = is_named(&code, name);
	ok = ok && (!found || functions_clear());
	for (at = 0; ok && found && functions_next(&all, &at, &code);)
		if (!is_named(&code, name))
			ok = functions_add(&code);
	buf_deinit(&all);
	return ok;
}

const char *apply_function(int argc, const struct arg *argv)
{
	const struct arg *last = &argv[argc - 1];
	bool ok;

	if (arg_ieq(&argv[1], "flush")) {
		ok = functions_clear();
	} else if (arg_ieq(&argv[1], "delete")) {
		ok = forget(last);
	} else {
		struct arg name = name_of(last);
		ok = (name.n == 0 || forget(&name)) && functions_add(last);
	}
	return ok ? NULL : no_memory;
}
