/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Libraries of functions in an append only file: FUNCTION LOAD, DELETE, FLUSH. No client can load or call them yet, but what came with the data is kept with
 * it (store/functions.h), so that what is saved has it again.
 *
 * Run by the loader. Owns nothing. A replaced library goes before the new one comes; a death between has the load begin anew, as any.
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

const char *apply_function(int argc, const struct arg *argv)
{
	const struct arg *last = &argv[argc - 1];
	bool ok;

	if (arg_ieq(&argv[1], "flush")) {
		ok = functions_clear();
	} else if (arg_ieq(&argv[1], "delete")) {
		ok = functions_forget(last);
	} else {
		struct arg name = functions_name(last);
		ok = (name.n == 0 || functions_forget(&name)) && functions_add(last);
	}
	return ok ? NULL : no_memory;
}
