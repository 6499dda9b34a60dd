/* A disk that fails: preloaded into a server, this fails one kind of call with EIO for the files of
 * a folder (DISK_FOLDER) while the file DISK_FAULT names that kind: "write" or "fdatasync". Where
 * that says "slow N" the disk takes N bytes a second instead, and 20 ms to sync. What was called for
 * which file, and whether it failed, goes to the file DISK_NOTES. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Takes the time that a disk of so many bytes a second takes for these. */
static void dawdle(size_t bytes, long rate)
{
    double seconds = bytes ? (double)bytes / rate : 0.02;
    struct timespec time = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* Is this call on this descriptor to fail? If it is to be slow, it has been when this returns. */
static int fails(int fd, const char *call, size_t bytes)
{
    const char *folder = getenv("DISK_FOLDER"), *fault = getenv("DISK_FAULT");
    const char *notes = getenv("DISK_NOTES");
    char link[64], path[PATH_MAX], said[32] = "", line[PATH_MAX + 64];
    if (!folder || !fault || !notes)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)))
        return 0;
    int file = open(fault, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        length = read(file, said, sizeof said - 1);
        said[length > 0 ? length : 0] = 0;
        close(file);
    }
    int bad = !strcmp(said, call);
    long rate = strncmp(said, "slow ", 5) ? 0 : atol(said + 5);
    if (rate > 0)
        dawdle(bytes, rate);
    int out = open(notes, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (out >= 0) {
        length = snprintf(line, sizeof line, "%s %s %s\n", call, bad ? "EIO" : "ok", path);
        syscall(SYS_write, out, line, length);
        close(out);
    }
    return bad;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (fails(fd, "write", count)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, count);
}

int fdatasync(int fd)
{
    if (fails(fd, "fdatasync", 0)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_fdatasync, fd);
}
