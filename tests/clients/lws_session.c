/* A session in the dbn encoding with libwebsockets: lws_session HOST PORT.
   The heartbeats' counts have to be what was received, and the close to be a clean one. */

#include <libwebsockets.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 24, MAPPING = 0x16, SNAPSHOT = 1, BEATS = 3, ENOUGH = 1000, MESSAGE_MAX = 65535 };

static const char REQUEST[] =
    "{\"id\":1,\"method\":\"subscribe\",\"params\":{\"schema\":[\"trades\",\"mbp-1\"],"
    "\"symbols\":\"*\"}}";

static unsigned char message[MESSAGE_MAX + 1];
static size_t have;
static uint64_t records;
static int beats, result = 1;
static bool asked, leaving, over;

static int fail(const char *why) {
    fprintf(stderr, "%s\n", why);
    over = true;
    return -1;
}

static unsigned word(const unsigned char *at) { return at[0] | at[1] << 8; }

static int batch(void) {
    if (have < HEADER || message[0] != 1) return fail("no batch of version 1");
    size_t at = HEADER;
    for (unsigned left = word(message + 2); left > 0; left--) {
        if (at + 2 > have || message[at] == 0) return fail("a record is cut");
        if (message[at + 1] != MAPPING && !(message[1] & SNAPSHOT)) records++;
        at += message[at] * 4u;
    }
    return at == have ? 0 : fail("a batch is longer or shorter than its records");
}

static int text(struct lws *wsi) {
    message[have] = 0;
    const char *said = (const char *)message;
    if (strstr(said, "\"success\":false")) return fail(said);
    if (!strstr(said, "\"type\":\"heartbeat\"")) return 0;
    const char *count = strstr(said, "\"records\":\"");
    if (!count) return fail("a heartbeat without a count");
    if (strtoull(count + 11, NULL, 10) != records) return fail("a count is not what came");
    if (records >= ENOUGH && ++beats >= BEATS) {
        leaving = true;
        lws_callback_on_writable(wsi);
    }
    return 0;
}

static int receive(struct lws *wsi, const unsigned char *bytes, size_t len) {
    if (lws_is_first_fragment(wsi)) have = 0;
    if (have + len > MESSAGE_MAX) return fail("a message over 65,535 bytes");
    memcpy(message + have, bytes, len);
    have += len;
    if (!lws_is_final_fragment(wsi)) return 0;
    return lws_frame_is_binary(wsi) ? batch() : text(wsi);
}

static int send_request(struct lws *wsi) {
    unsigned char frame[LWS_PRE + sizeof REQUEST];
    const int len = (int)sizeof REQUEST - 1;
    memcpy(frame + LWS_PRE, REQUEST, sizeof REQUEST);
    asked = true;
    return lws_write(wsi, frame + LWS_PRE, (size_t)len, LWS_WRITE_TEXT) < len ? -1 : 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len) {
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        return fail(in ? (const char *)in : "no connection");
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (!asked) return send_request(wsi);
        if (!leaving) return 0;
        lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
        return -1;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return leaving ? 0 : receive(wsi, in, len);
    case LWS_CALLBACK_CLIENT_CLOSED:
        if (leaving) result = 0;
        over = true;
        return 0;
    default:
        return 0;
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    lws_set_log_level(LLL_ERR, NULL);
    const struct lws_protocols protocols[] = {{.name = "broadtape.dbn.v1",
                                               .callback = callback,
                                               .rx_buffer_size = MESSAGE_MAX},
                                              {0}};
    const struct lws_context_creation_info options = {.port = CONTEXT_PORT_NO_LISTEN,
                                                      .protocols = protocols};
    struct lws_context *context = lws_create_context(&options);
    if (!context) return 1;
    char host[128];
    snprintf(host, sizeof host, "%s:%s", argv[1], argv[2]);
    const struct lws_client_connect_info where = {.context = context,
                                                  .address = argv[1],
                                                  .host = host,
                                                  .port = atoi(argv[2]),
                                                  .path = "/v1/stream",
                                                  .protocol = protocols[0].name};
    if (!lws_client_connect_via_info(&where)) over = true;
    while (!over && lws_service(context, 0) >= 0) {}
    lws_context_destroy(context);
    printf("%llu records, %d heartbeats\n", (unsigned long long)records, beats);
    return result;
}
