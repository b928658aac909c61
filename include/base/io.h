/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls with their loops: whole reads and writes, descriptor flags, descriptors sent between processes.
 * Unless said otherwise, functions return 0 or -1 with errno set, and EINTR is retried. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Reads until n bytes are there or the file ends. Returns the number read (less than n only at the end), or -1. */
ssize_t io_read_full(int fd, void *p, size_t n);

/* Writes all n bytes; on -1 part may have been written. For blocking descriptors. */
int io_write_full(int fd, const void *p, size_t n);

int io_pread_full(int fd, void *p, size_t n, off_t at); /* -1 with EIO if the file ends early */
int io_pwrite_full(int fd, const void *p, size_t n, off_t at);

int io_set_cloexec(int fd, bool on);
int io_set_nonblock(int fd, bool on);

/* Syncs a directory. A file system that has no such thing is taken to need none, as redis-server does. */
int io_sync_dir(int fd);

/* Closes *fd unless it is -1, and sets it to -1. errno is kept. */
void io_close(int *fd);

/* Sends n >= 1 bytes, a descriptor (or -1 for none) along with them, over a unix socket. All n bytes go in one piece
 * on SOCK_SEQPACKET and SOCK_DGRAM; on SOCK_STREAM keep n below 4096. The caller still owns fd. No SIGPIPE.
 * `flags` is for sendmsg (MSG_DONTWAIT, 0). */
int send_fd(int sock, const void *p, size_t n, int fd, int flags);

/* The same for bytes that lie in several parts, some of which may be empty. */
int send_parts_fd(int sock, const struct iovec *parts, size_t nparts, int fd, int flags);

/* Receives what send_fd sent: at most n bytes to p; *fd is the descriptor, close-on-exec and now the caller's, or -1
 * if none came. *from is who sent it as the kernel vouches; its pid is 0 unless the receiving socket has
 * io_pass_credentials on. from and fd may be NULL (a descriptor that came is then closed). Returns the number of bytes,
 * 0 at the end of the stream, -1 on error (EMSGSIZE if bytes or descriptors were cut off; none are then left open). */
ssize_t recv_fd(int sock, void *p, size_t n, int *fd, struct ucred *from, int flags);

/* Makes the kernel attach the sender's credentials to all that this socket receives. */
int io_pass_credentials(int sock);

#endif
