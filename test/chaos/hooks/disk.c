/*
 * A disk that can be full and can lose power, for one process: loaded by LD_PRELOAD, it looks at the files below
 * CHAOS_DISK_DIR. While CHAOS_DISK_DIR/full exists, no file grows, and neither does the log on stderr: ENOSPC. Where
 * CHAOS_DISK_SYNCED is set, it keeps there what each file holds by its last fsync or fdatasync: all that a power cut would
 * leave.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FILES 4096
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A write that no sync has reached yet; one with length -1 cuts the file off at its offset. */
struct change { off_t offset; ssize_t length; };
struct file { char *name; struct change *changes; size_t count; };

static struct file files[MOST_FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *name_below_dir(const char *path) {
  const char *dir = getenv("CHAOS_DISK_DIR");
  if (!dir || strncmp(path, dir, strlen(dir)) != 0) return NULL;
  const char *name = strrchr(path, '/') + 1;
  /* Memory that processes share, and made anew by the first of them. */
  size_t length = strlen(name);
  return length > 4 && strcmp(name + length - 4, "-shm") == 0 ? NULL : name;
}

static void synced_path(char *path, size_t size, const char *name) {
  snprintf(path, size, "%s/%s", getenv("CHAOS_DISK_SYNCED"), name);
}

static int opened(int fd, const char *path) {
  const char *name = fd >= 0 && fd < MOST_FILES ? name_below_dir(path) : NULL;
  if (name) files[fd] = (struct file){ .name = strdup(name) };
  return fd;
}

int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return opened(REAL(open)(path, flags, mode), path);
}

int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return opened(REAL(open64)(path, flags, mode), path);
}

int close(int fd) {
  if (fd >= 0 && fd < MOST_FILES && files[fd].name) {
    free(files[fd].name);
    free(files[fd].changes);
    files[fd] = (struct file){ 0 };
  }
  return REAL(close)(fd);
}

static struct file *file_of(int fd) {
  return fd >= 0 && fd < MOST_FILES && files[fd].name ? &files[fd] : NULL;
}

static int is_disk_full(void) {
  char path[4096];
  snprintf(path, sizeof path, "%s/full", getenv("CHAOS_DISK_DIR"));
  return access(path, F_OK) == 0;
}

static int is_full(int fd, off_t end) {
  struct stat now;
  return is_disk_full() && fstat(fd, &now) == 0 && end > now.st_size;
}

static void remember(struct file *file, off_t offset, ssize_t length) {
  if (!getenv("CHAOS_DISK_SYNCED")) return;
  pthread_mutex_lock(&lock);
  file->changes = realloc(file->changes, (file->count + 1) * sizeof *file->changes);
  file->changes[file->count++] = (struct change){ offset, length };
  pthread_mutex_unlock(&lock);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  if (fd == STDERR_FILENO && is_disk_full()) {
    errno = ENOSPC;
    return -1;
  }
  return REAL(write)(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  struct file *file = file_of(fd);
  if (file && is_full(fd, offset + count)) {
    errno = ENOSPC;
    return -1;
  }
  ssize_t written = REAL(pwrite64)(fd, bytes, count, offset);
  if (file && written > 0) remember(file, offset, written);
  return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  return pwrite64(fd, bytes, count, offset);
}

int ftruncate64(int fd, off64_t length) {
  int result = REAL(ftruncate64)(fd, length);
  struct file *file = file_of(fd);
  if (file && result == 0) remember(file, length, -1);
  return result;
}

int ftruncate(int fd, off_t length) {
  return ftruncate64(fd, length);
}

static void carry_over(int fd, struct file *file) {
  char path[4096], block[65536];
  synced_path(path, sizeof path, file->name);
  int to = REAL(open)(path, O_WRONLY | O_CREAT, 0600);
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < file->count; i++) {
    struct change *change = &file->changes[i];
    if (change->length < 0) {
      if (REAL(ftruncate64)(to, change->offset) != 0) abort();
      continue;
    }
    for (ssize_t at = 0; at < change->length;) {
      size_t left = change->length - at;
      ssize_t got = pread(fd, block, left < sizeof block ? left : sizeof block, change->offset + at);
      if (got <= 0) break;
      if (REAL(pwrite64)(to, block, got, change->offset + at) != got) abort();
      at += got;
    }
  }
  file->count = 0;
  pthread_mutex_unlock(&lock);
  REAL(close)(to);
}

static int synced(int fd, int result) {
  struct file *file = file_of(fd);
  if (file && result == 0 && getenv("CHAOS_DISK_SYNCED")) carry_over(fd, file);
  return result;
}

int fsync(int fd) {
  return synced(fd, REAL(fsync)(fd));
}

int fdatasync(int fd) {
  return synced(fd, REAL(fdatasync)(fd));
}

int unlink(const char *path) {
  int result = REAL(unlink)(path);
  const char *name = result == 0 && getenv("CHAOS_DISK_SYNCED") ? name_below_dir(path) : NULL;
  if (name) {
    char copy[4096];
    synced_path(copy, sizeof copy, name);
    REAL(unlink)(copy);
  }
  return result;
}
