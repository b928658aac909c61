# SPDX-License-Identifier: BSD-2-Clause
# Bulkhead: libc only. Every variant has its own directory under build/.
CC ?= gcc
PREFIX ?= /usr/local
DESTDIR ?=
# Where the system looks for what belongs to it, if that is not below PREFIX.
SYSTEM_PREFIX := $(filter /usr /usr/local,$(PREFIX))
SYSCONFDIR ?= $(if $(SYSTEM_PREFIX),/etc,$(PREFIX)/etc)
LOCALSTATEDIR ?= $(if $(SYSTEM_PREFIX),/var,$(PREFIX)/var)
RUNSTATEDIR ?= $(if $(SYSTEM_PREFIX),/run,$(PREFIX)/run)
# The script of init.d: sysv or openrc.
INIT ?= $(if $(wildcard /sbin/openrc-run),openrc,sysv)
STATIC ?= 1
V ?= release
BUILD_release := build
BUILD_debug := build/debug
BUILD_asan := build/asan
BUILD_ubsan := build/ubsan
BUILD_nojournal := build/nojournal
BUILD_lossy := build/lossy
B := $(BUILD_$(V))

WARN := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wvla -Wpointer-arith
CPPFLAGS += -D_GNU_SOURCE -Iinclude -MMD -MP
CFLAGS_release := -O2 -g -fno-plt
CFLAGS_debug := -O1 -g -DBULKHEAD_DEBUG
CFLAGS_asan := -O1 -g -DBULKHEAD_DEBUG -fsanitize=address -fno-omit-frame-pointer
CFLAGS_ubsan := -O1 -g -DBULKHEAD_DEBUG -fsanitize=undefined -fno-sanitize-recover=undefined
CFLAGS_nojournal := -O2 -g -fno-plt -DBULKHEAD_NO_JOURNAL
# What was not synced is lost with the process.
CFLAGS_lossy := -O1 -g -DBULKHEAD_DEBUG -DBULKHEAD_LOSSY_FILES
ALL_CFLAGS := -std=c11 $(WARN) -fPIE $(CFLAGS_$(V)) $(CFLAGS)
# What include/base/seldom.h marks comes last.
SORTED := -Wl,--sort-section=name
LINK := -pie $(SORTED)
ifeq ($(STATIC),1)
ifneq ($(filter release debug nojournal lossy,$(V)),)
# Code and constants in one segment at a multiple of 2 MiB, so that src/proc/text.c can give them a huge page.
LINK := -static-pie $(SORTED) -Wl,-z,noseparate-code -Wl,-z,max-page-size=0x200000
endif
endif

LAYERS := base wire shm store persist cmd proc
LIB_SRC := $(sort $(foreach l,$(LAYERS),$(wildcard src/$(l)/*.c)))
LIB_OBJ := $(LIB_SRC:src/%.c=$(B)/obj/%.o)
CLI_SRC := $(sort $(wildcard src/cli/*.c))
CLI_OBJ := $(CLI_SRC:src/%.c=$(B)/obj/%.o) $(filter $(B)/obj/base/%.o $(B)/obj/wire/%.o,$(LIB_OBJ))
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))

# The server by other names.
CHECKERS := bulkhead-check-aof bulkhead-check-rdb

.PHONY: all server run run-server run-client run-cli test check asan ubsan debug nojournal lossy unit torture fuzz bench install install-user uninstall clean
all: $(B)/bulkhead-server $(B)/bulkhead-cli $(B)/probe $(CHECKERS:%=$(B)/%)
server: $(B)/bulkhead-server

# What was built with other options (STATIC=0, CC=clang) is built again: a file that changes when they do.
FLAGS := $(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) $(LINK)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@
.PHONY: FORCE
FORCE:

$(B)/bulkhead-server: $(B)/obj/main.o $(LIB_OBJ) $(B)/flags
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(LINK) -o $@ $(filter %.o,$^)

$(CHECKERS:%=$(B)/%):
	@mkdir -p $(@D)
	ln -sf bulkhead-server $@

# The client resolves host names, which glibc does through shared objects: it is linked dynamically.
$(B)/bulkhead-cli: $(CLI_OBJ)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -pie -o $@ $^

$(B)/probe: scripts/probe.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -std=c11 $(WARN) -O2 -o $@ $<

$(B)/obj/%.o: src/%.c Makefile $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

$(B)/unit/%: tests/unit/%.c $(LIB_OBJ)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LINK) -Isrc -Itests/unit -o $@ $< $(LIB_OBJ)

$(B)/stress: tests/stress/stress.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -std=c11 $(WARN) -O2 -o $@ $<

$(B)/torture: $(wildcard tests/death/*.[ch])
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c11 $(WARN) -O2 -g -o $@ $(filter %.c,$^)

$(B)/resp_parse_fuzz: tests/fuzz/resp_parse_fuzz.c $(wildcard tests/fuzz/*.h) $(filter $(B)/obj/base/%.o $(B)/obj/wire/%.o,$(LIB_OBJ))
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LINK) -o $@ $(filter %.c %.o,$^)

# Those that need a store.
$(B)/%_fuzz: tests/fuzz/%_fuzz.c $(wildcard tests/fuzz/*.h) tests/unit/store_fixture.h $(LIB_OBJ)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LINK) -Isrc -Itests/unit -o $@ $(filter %.c %.o,$^)

unit: $(UNIT)

debug asan ubsan nojournal lossy:
	$(MAKE) V=$@ all

run run-server: all
	$(B)/bulkhead-server init/bulkhead.conf

run-client run-cli: all
	$(B)/bulkhead-cli

test:
	scripts/test

check: test
	scripts/check-layers
	scripts/check-commands

# The long forms of tests/60-death.bats: a quarter of an hour.
torture: all unit $(B)/torture
	$(B)/torture --server $(B)/bulkhead-server --kills 10000
	$(B)/torture --server $(B)/bulkhead-server --kills 1000 --rate 20 --stop
	$(B)/unit/test_death long
	$(B)/torture --server $(B)/bulkhead-server --supervisor 20
	for fsync in always everysec no; do \
		tests/death/durable --server $(B)/bulkhead-server --fsync $$fsync --rounds 50 --window 1200 || exit 1; done
	$(MAKE) V=lossy server
	for fsync in always everysec; do \
		tests/death/durable --server build/lossy/bulkhead-server --fsync $$fsync --rounds 50 --seconds 4 --window 1200 || exit 1; done

fuzz:
	scripts/fuzz

bench: all
	scripts/bench

# What is in init/ names the folders of PREFIX=/usr/local; installed it names those that were asked for.
FOLDERS = sed -e 's,/etc/\(bulkhead\|default\),$(SYSCONFDIR)/\1,g' -e 's,/var/\(lib\|log\)/bulkhead,$(LOCALSTATEDIR)/\1/bulkhead,g' \
	-e 's,\([^a-z]\)/run/bulkhead,\1$(RUNSTATEDIR)/bulkhead,g' -e 's,/usr/local,$(PREFIX),g'
# A service has its files in places of its own, and no terminal to write to.
SERVICE = -e 's|^dir \./$$|dir /var/lib/bulkhead|' -e 's|^logfile ""$$|logfile /var/log/bulkhead/bulkhead.log|' \
	-e 's|^\(\# \)\{0,1\}pidfile .*|pidfile /run/bulkhead/bulkhead.pid|'
SHARE := $(PREFIX)/share/doc/bulkhead
CONFIG := $(SYSCONFDIR)/bulkhead/bulkhead.conf

# put(file of init/, where it goes, its mode)
define put
install -d $(dir $(DESTDIR)$(2))
$(FOLDERS) init/$(1) >$(DESTDIR)$(2).new
chmod $(3) $(DESTDIR)$(2).new
mv $(DESTDIR)$(2).new $(DESTDIR)$(2)
endef

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SHARE) $(dir $(DESTDIR)$(CONFIG))
	install -m 755 $(B)/bulkhead-server $(B)/bulkhead-cli $(DESTDIR)$(PREFIX)/bin/
	for c in $(CHECKERS); do ln -sf bulkhead-server $(DESTDIR)$(PREFIX)/bin/$$c; done
	install -m 644 README.md LICENSE $(DESTDIR)$(SHARE)/
	sed $(SERVICE) init/bulkhead.conf | $(FOLDERS) >$(DESTDIR)$(SHARE)/bulkhead.conf
	test -e $(DESTDIR)$(CONFIG) || install -m 640 $(DESTDIR)$(SHARE)/bulkhead.conf $(DESTDIR)$(CONFIG)
	$(call put,bulkhead.$(INIT),$(SYSCONFDIR)/init.d/bulkhead,755)
	$(call put,bulkhead.logrotate,$(SYSCONFDIR)/logrotate.d/bulkhead,644)
	$(call put,bulkhead.service,$(PREFIX)/lib/systemd/system/bulkhead.service,644)
	$(call put,bulkhead.sysusers,$(PREFIX)/lib/sysusers.d/bulkhead.conf,644)
	$(call put,bulkhead.tmpfiles,$(PREFIX)/lib/tmpfiles.d/bulkhead.conf,644)
	@$(if $(DESTDIR)$(if $(SYSTEM_PREFIX),,other),:,$(MAKE) -s install-user)

# On this machine, not in a package: the user, and what is his. He writes the configuration (CONFIG REWRITE), others do not read it.
install-user:
	@getent passwd bulkhead >/dev/null || { ! command -v systemd-sysusers >/dev/null || systemd-sysusers bulkhead.conf; } || true
	@getent passwd bulkhead >/dev/null || useradd --system --user-group --home-dir /var/lib/bulkhead --shell /usr/sbin/nologin bulkhead 2>/dev/null || \
		adduser -S -D -H -h /var/lib/bulkhead -s /sbin/nologin bulkhead 2>/dev/null || echo "There is no user bulkhead: make one, or set RUN_AS in $(SYSCONFDIR)/default/bulkhead"
	@! getent passwd bulkhead >/dev/null || chown -R bulkhead $(SYSCONFDIR)/bulkhead

# What the administrator may have changed, and the data, stay: the configuration, logs, /var/lib/bulkhead.
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/bulkhead-server $(DESTDIR)$(PREFIX)/bin/bulkhead-cli $(CHECKERS:%=$(DESTDIR)$(PREFIX)/bin/%)
	rm -f $(DESTDIR)$(SYSCONFDIR)/init.d/bulkhead $(DESTDIR)$(SYSCONFDIR)/logrotate.d/bulkhead
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/bulkhead.service
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/bulkhead.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/bulkhead.conf
	rm -rf $(DESTDIR)$(SHARE)

clean:
	rm -rf build

-include $(B)/obj/main.d $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT:%=%.d)
