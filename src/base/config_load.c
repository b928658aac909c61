/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the configuration: redis.conf's syntax from files and standard input, redis-server's options from the command line.
 *
 * The supervisor, before anything else; nobody else runs yet. Whatever text is read may hold a password, so all of it
 * lies in mappings that are gone before the first fork, and no stdio buffer sees it. A mistake ends the process with Redis's report on standard error.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/glob.h"
#include "base/io.h"
#include "base/log.h"
#include "base/panic.h"
#include "base/version.h"
#include "config_rows.h"

#define FILE_MAX (4u << 20)
#define INCLUDE_DEPTH 16
#define DEFAULT_PID_FILE "/var/run/bulkhead.pid" /* of a server in the background */
#define UNKNOWN "Bad directive or wrong number of arguments"

/* Where a line stands, for the report. */
struct place {
	const char *file; /* NULL: the command line */
	int line;
	int depth;        /* of includes */
};

static _Noreturn void fail(const struct place *at, const char *line, size_t n, const char *why)
{
	fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Bulkhead %s) ***\n", BULKHEAD_VERSION);
	fprintf(stderr, "Reading the configuration file, at line %d of %s\n", at->line,
		!at->file ? "the command line" : strcmp(at->file, "-") == 0 ? "standard input" : at->file);
	fprintf(stderr, ">>> '%.*s'\n%s\n", (int)n, line, why);
	exit(1);
}

static char *map_text(size_t n)
{
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		fatal("Out of memory");
	return p;
}

/* The whole of a file and a NUL, in a mapping of *cap bytes. */
static char *read_text(const char *file, size_t *n, size_t *mapped)
{
	int fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
		close(fd);
		errno = EISDIR;
		return NULL;
	}
	size_t cap = fd != STDIN_FILENO && S_ISREG(st.st_mode) && st.st_size < (off_t)FILE_MAX ? (size_t)st.st_size + 1
											       : FILE_MAX;
	char *text = map_text(cap + 1);
	*mapped = cap + 1;
	ssize_t got = io_read_full(fd, text, cap);
	if (fd != STDIN_FILENO)
		close(fd);
	if (got < 0 || (size_t)got == FILE_MAX) {
		errno = got < 0 ? errno : EFBIG;
		return NULL;
	}
	*n = (size_t)got;
	return text;
}

static void load_file(struct config_draft *d, const char *file, int depth);

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* include: a file, or a pattern in the last part of the path; a pattern that matches nothing is no mistake. */
static void load_include(struct config_draft *d, const struct place *at, const char *path)
{
	if (at->depth >= INCLUDE_DEPTH)
		fail(at, path, strlen(path), "includes are nested too deeply");
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	if (!strpbrk(last, "*?[")) {
		load_file(d, path, at->depth + 1);
		return;
	}
	char folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%.*s", (int)(last - path), path);
	DIR *dir = opendir(*folder ? folder : ".");
	char **names = NULL;
	size_t n = 0;
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (e->d_name[0] == '.' || !glob_match(last, strlen(last), e->d_name, strlen(e->d_name), false))
			continue;
		names = realloc(names, (n + 1) * sizeof *names);
		if (!names || asprintf(&names[n], "%s%s", folder, e->d_name) < 0)
			fatal("Out of memory");
		n++;
	}
	if (dir)
		closedir(dir);
	if (n)
		qsort(names, n, sizeof *names, by_name);
	for (size_t i = 0; i < n; i++) {
		load_file(d, names[i], at->depth + 1);
		free(names[i]);
	}
	free(names);
}

/* ---- directives that are no parameters ---- */

static config_renamer *renamer;

static const char *directive_rename(const struct arg *v)
{
	return renamer ? renamer(&v[0], &v[1]) : NULL;
}

static const char *directive_nothing(const struct arg *v)
{
	(void)v;
	return NULL;
}

static const char *directive_user(const struct arg *v)
{
	(void)v;
	return "this version has one user, \"default\", whose password is requirepass";
}

static const char *directive_module(const struct arg *v)
{
	(void)v;
	return "modules cannot be loaded: what they would check or forbid is not there";
}

static const char *directive_sentinel(const struct arg *v)
{
	(void)v;
	return "sentinel directive while not in sentinel mode";
}

static const struct directive {
	const char *name;
	size_t least, most; /* values */
	const char *(*act)(const struct arg *v); /* NULL, or why not */
} directives[] = {
	{"rename-command", 2, 2, directive_rename},
	{"user", 1, SIZE_MAX, directive_user},
	{"loadmodule", 1, SIZE_MAX, directive_module},
	{"sentinel", 0, SIZE_MAX, directive_sentinel},
	/* Of versions long past; Redis ignores them too. */
	{"list-max-ziplist-entries", 1, 1, directive_nothing},
	{"list-max-ziplist-value", 1, 1, directive_nothing},
	{"lua-replicate-commands", 1, 1, directive_nothing},
};

/* Whether it was one; *why says what is wrong with it. */
static bool load_directive(const struct arg_list *words, const char **why)
{
	const struct arg *name = &words->v[0];
	size_t values = words->n - 1;
	for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
		const struct directive *d = &directives[i];
		if (!arg_ieq(name, d->name))
			continue;
		*why = values < d->least || values > d->most ? UNKNOWN : d->act(words->v + 1);
		return true;
	}
	if (!memchr(name->p, '.', name->n))
		return false;
	*why = values ? "a parameter of a module, and modules cannot be loaded" : "Module config specified without value";
	return true;
}

/* Whether the values of a line are not to be shown to anybody. */
static bool hides(const struct arg *name)
{
	const struct param *p = config_row(name->p, name->n);
	return p ? p->type == PARAM_SECRET : arg_ieq(name, "user");
}

/* Lines of save add up; the first one takes the place of the default, and one without points that of all before it. */
static const char *add_points(struct config_draft *d, const struct param *p, const struct arg *values, size_t n)
{
	struct save_points *field = (struct save_points *)((char *)&d->values + p->offset);
	struct save_points before = *field;
	const char *why = config_assign(d, p, values, n);
	if (why || !d->points_said || field->n == 0) {
		d->points_said = true;
		return why;
	}
	if (before.n + field->n > SAVE_POINTS_MAX)
		return "too many save points";
	memcpy(&before.at[before.n], field->at, field->n * sizeof field->at[0]);
	before.n += field->n;
	*field = before;
	return NULL;
}

/* One directive: its name and values. `line` is how it was written. */
static void load_words(struct config_draft *d, const struct place *at, const struct arg_list *words, const char *line, size_t n)
{
	const struct arg *name = &words->v[0];
	size_t values = words->n - 1;
	if (str_ieq(name->p, name->n, "include") && values == 1) {
		char path[PATH_MAX];
		snprintf(path, sizeof path, "%.*s", (int)words->v[1].n, words->v[1].p);
		load_include(d, at, path);
		return;
	}
	const struct param *p = config_row(name->p, name->n);
	const char *why = UNKNOWN;
	if (!p) {
		if (!load_directive(words, &why) || why)
			fail(at, line, hides(name) ? name->n : n, why);
		return;
	}
	p = config_meant(p);
	why = p->type == PARAM_POINTS ? add_points(d, p, words->v + 1, values) : config_assign(d, p, words->v + 1, values);
	/* A relative path that follows is meant from there, as in Redis. */
	if (!why && str_ieq(name->p, name->n, "dir") && *d->values.dir && chdir(d->values.dir))
		why = strerror(errno);
	if (why)
		fail(at, p->type == PARAM_SECRET ? p->name : line, p->type == PARAM_SECRET ? strlen(p->name) : n, why);
}

static size_t first_word(const char *line, size_t n)
{
	size_t i = 0;
	while (i < n && !str_is_space((unsigned char)line[i]))
		i++;
	return i;
}

static void load_line(struct config_draft *d, const struct place *at, char *line, size_t n, char *scratch)
{
	while (n && str_is_space((unsigned char)line[n - 1]))
		n--;
	while (n && str_is_space((unsigned char)*line))
		line++, n--;
	if (n == 0 || *line == '#')
		return;
	struct arg_list words = {0};
	memcpy(scratch, line, n);
	if (!str_split_args(scratch, n, &words)) {
		struct arg name = {line, first_word(line, n)};
		fail(at, line, hides(&name) ? name.n : n, "Unbalanced quotes in configuration line");
	}
	if (words.n)
		load_words(d, at, &words, line, n);
	arg_list_deinit(&words);
}

static void load_text(struct config_draft *d, const char *file, char *text, size_t n, int depth)
{
	char *scratch = map_text(n + 1);
	struct place at = {.file = file, .depth = depth};
	for (char *line = text, *end = text + n; line < end;) {
		char *stop = memchr(line, '\n', (size_t)(end - line));
		size_t len = (size_t)((stop ? stop : end) - line);
		at.line++;
		load_line(d, &at, line, len, scratch);
		line += len + 1;
	}
	munmap(scratch, n + 1);
}

static void load_file(struct config_draft *d, const char *file, int depth)
{
	size_t n, mapped;
	char *text = read_text(file, &n, &mapped);
	if (!text) {
		log_warning("Fatal error, can't open config file '%s': %s", file, strerror(errno));
		exit(1);
	}
	load_text(d, file, text, n, depth);
	munmap(text, mapped);
}

/* ---- the command line ---- */

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] == '-';
}

/* An option without a value that Redis gives an empty one. */
static bool may_lack_value(const struct arg_list *words)
{
	return words->n == 1 && arg_ieq(&words->v[0], "save");
}

/*
 * --name value value --name ...: each option is a line; its values are taken as they are. "--name value" may be one argument. What follows the
 * name alone is a value, whatever it looks like; save may have none.
 */
static void load_options(struct config_draft *d, int argc, char **argv)
{
	struct place at = {0};
	for (int i = 0; i < argc;) {
		struct arg_list words = {0};
		struct buf line;
		char *name = is_option(argv[i]) ? argv[i] + 2 : argv[i];
		buf_init(&line);
		buf_append_str(&line, name);
		at.line++;
		if (!str_split_args(name, strlen(name), &words) || words.n == 0)
			fail(&at, line.data, line.len, UNKNOWN);
		bool secret = hides(&words.v[0]);
		bool lacks = words.n == 1 && !(may_lack_value(&words) && (i + 1 == argc || is_option(argv[i + 1])));
		if (may_lack_value(&words) && !lacks)
			arg_list_add(&words, "", 0);
		for (i++; i < argc && (lacks || !is_option(argv[i])); i++) {
			arg_list_add(&words, argv[i], strlen(argv[i]));
			lacks = false;
			buf_append_char(&line, ' ');
			if (!secret)
				str_repr(&line, argv[i], strlen(argv[i]));
		}
		load_words(d, &at, &words, line.data, line.len);
		arg_list_deinit(&words);
		buf_deinit(&line);
	}
}

static _Noreturn void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"Usage: bulkhead-server [/path/to/bulkhead.conf] [options] [-]\n"
		"       bulkhead-server - (read the configuration from standard input)\n"
		"       bulkhead-server -v or --version\n"
		"       bulkhead-server -h or --help\n"
		"       bulkhead-server --check PORT, STORE or PATH (verify the data that no server has)\n"
		"       bulkhead-server --store-format [arguments of a start] (which data in shared memory it can go on with;\n"
		"                       whether it takes the configuration)\n\n"
		"Examples:\n"
		"       bulkhead-server (run the server with the defaults)\n"
		"       echo 'maxmemory 128mb' | bulkhead-server -\n"
		"       bulkhead-server /etc/bulkhead/6379.conf\n"
		"       bulkhead-server --port 7777\n"
		"       bulkhead-server /etc/bulkhead.conf --loglevel verbose\n");
	exit(status);
}

static void answer_and_exit(const char *option)
{
	if (strcmp(option, "-v") == 0 || strcmp(option, "--version") == 0) {
		printf("Bulkhead server v=%s redis=%s malloc=libc bits=%d\n", BULKHEAD_VERSION, REDIS_COMPAT_VERSION,
		       (int)sizeof(long) * 8);
		exit(0);
	}
	if (strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0)
		usage(0);
	if (option[0] == '-' && option[1] != '-' && option[1] != 0)
		usage(1);
}

/* --store-format: the answer first, so that it is there whatever is said of the configuration that may follow. */
static bool answer_format(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--store-format") != 0)
		return false;
	printf("%s\n", BULKHEAD_STORE_BUILD);
	fflush(stdout);
	return true;
}

bool config_load(int argc, char **argv, config_renamer *rename)
{
	bool only_check = answer_format(argc, argv);
	if (only_check)
		argc--, argv++;
	struct config_draft *d = config_draft_create();
	if (!d)
		fatal("Out of memory");
	renamer = rename;
	config_defaults(d);
	d->values.chosen = argc > 1;
	int first = 1;
	bool from_stdin = false;
	if (argc > 1)
		answer_and_exit(argv[1]);
	if (argc > 1 && strcmp(argv[argc - 1], "-") == 0) {
		from_stdin = true;
		argc--;
	}
	if (argc > 1 && !is_option(argv[1])) {
		first = 2;
		char *file = realpath(argv[1], NULL);
		snprintf(d->values.file, sizeof d->values.file, "%s", file ? file : argv[1]);
		free(file);
		load_file(d, argv[1], 0);
	}
	if (from_stdin)
		load_file(d, "-", 0);
	load_options(d, argc - first, argv + first);
	if (d->values.daemonize && !*d->values.pidfile)
		strcpy(d->values.pidfile, DEFAULT_PID_FILE);
	if (!getcwd(d->values.dir, sizeof d->values.dir))
		strcpy(d->values.dir, ".");
	ssize_t n = readlink("/proc/self/exe", d->values.executable, sizeof d->values.executable - 1);
	d->values.executable[n < 0 ? 0 : n] = 0;
	config_adopt(d);
	return !only_check;
}
