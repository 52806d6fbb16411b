#include "line.h"

#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { RING = 1024, MIRROR_MTU = 9216 };

/* --- opening
 * ------------------------------------------------------------------------------------------------ */

static const struct dp_timing TIMING = {
    .idle_timeout = 3000000000000,
    .gap_timeout = 1000000000,
    .linger = 5000000000,
    .tries = 15,
    .syn_tries = 10,
};

static struct dp_config make_config(const struct sim *sim)
{
    const struct scenario *s = &sim->scenario;
    struct dp_config config = {
        .workers = s->workers,
        .port_count = 2,
        .transfer_count = 1,
        .limits = {.connections = s->limit,
                   .sessions = s->limit,
                   .buffer_bytes = 2048ull * s->chunks,
                   .backlog_bytes = s->backlog},
        .timing = TIMING,
        .clock_offset = mix64(s->seed),
    };
    config.timing.response_timeout = s->response_s * 1000000000ull;
    config.timing.settle = s->settle_ms * 1000000ull;
    if (s->misbehaviour)
        config.timing.tries = config.timing.syn_tries = 6;
    struct dp_port port = {
        .kind = DP_PORT_MEMORY, .queues = s->workers, .ring_size = RING, .verify_checksums = 1};
    config.ports[PORT_MIRROR] = config.ports[PORT_TEST] = port;
    config.ports[PORT_MIRROR].role = DP_ROLE_MIRROR;
    config.ports[PORT_MIRROR].mtu = MIRROR_MTU;
    config.ports[PORT_TEST].role = DP_ROLE_TEST;
    config.ports[PORT_TEST].mtu = s->test_mtu;
    struct dp_transfer *transfer = &config.transfers[0];
    memcpy(transfer->target_ip, sim->target.ip, sizeof(transfer->target_ip));
    transfer->target_port = sim->target.port;
    transfer->source_port = 80;
    transfer->multiplier = s->multiplier;
    transfer->range_count = s->pool != 0;
    config.ranges[0].count = s->pool;
    config.range_count = transfer->range_count;
    struct host first = sim_host(sim, 20, 254, 0); /* so that the pool crosses a byte's limit */
    memcpy(config.ranges[0].first, first.ip, sizeof(first.ip));
    transfer->full_sessions_only = !s->resync;
    transfer->ack_mirrored = s->ack_mirrored;
    transfer->no_wait = s->no_wait;
    transfer->tls_replay = 1;
    return config;
}

/* --- turning
 * ------------------------------------------------------------------------------------------------ */

static void *turner_run(void *argument)
{
    const struct turner *turner = argument;
    struct line *line = turner->line;
    for (;;) {
        pthread_barrier_wait(&line->begin);
        if (line->turn_at == UINT64_MAX)
            return NULL;
        dp_step_worker(line->engine, turner->worker, line->turn_at);
        pthread_barrier_wait(&line->end);
    }
}

static void start_turners(struct sim *sim)
{
    struct line *line = &sim->line;
    uint32_t workers = sim->scenario.workers;
    pthread_barrier_init(&line->begin, NULL, workers + 1);
    pthread_barrier_init(&line->end, NULL, workers + 1);
    for (; line->turner_count < workers; line->turner_count++) {
        struct turner *turner = &line->turners[line->turner_count];
        *turner = (struct turner){.line = line, .worker = line->turner_count};
        if (pthread_create(&turner->thread, NULL, turner_run, turner))
            abort();
    }
}

static void stop_turners(struct line *line)
{
    if (!line->turner_count)
        return;
    line->turn_at = UINT64_MAX;
    pthread_barrier_wait(&line->begin);
    for (uint32_t i = 0; i < line->turner_count; i++)
        pthread_join(line->turners[i].thread, NULL);
    pthread_barrier_destroy(&line->begin);
    pthread_barrier_destroy(&line->end);
    line->turner_count = 0;
}

/* One turn of every worker: all at once, or one after the other in an order that the seed decides. */
static void turn(struct sim *sim)
{
    struct line *line = &sim->line;
    uint32_t order[MOST_WORKERS];
    if (line->turner_count) {
        line->turn_at = sim->now;
        pthread_barrier_wait(&line->begin);
        pthread_barrier_wait(&line->end);
        return;
    }
    for (uint32_t i = 0; i < sim->scenario.workers; i++) {
        uint32_t at = below(&line->random, i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    for (uint32_t i = 0; i < sim->scenario.workers; i++)
        dp_step_worker(line->engine, order[i], sim->now);
}

static uint32_t find_counter(const char *name);

void line_open(struct sim *sim)
{
    static const char *const NAMES[] = {
#define ACCOUNT(name) #name,
        ACCOUNTS
#undef ACCOUNT
    };
    char error[DP_ERROR_SIZE];
    struct dp_config config = make_config(sim);
    if (dp_open(&config, &sim->line.engine, error, sizeof(error)))
        sim_fail(sim, "the line does not open: %s", error);
    for (uint32_t queue = 0; queue < sim->scenario.workers; queue++)
        dp_mem_limit(sim->line.engine, PORT_TEST, queue, sim->scenario.ring);
    for (uint32_t account = 0; account < ACCOUNT_COUNT; account++)
        sim->line.accounts[account] = find_counter(NAMES[account]);
    sim->line.random = random_stream(sim->scenario.seed, 300);
    if (sim->scenario.threads)
        start_turners(sim);
}

void line_close(struct sim *sim)
{
    stop_turners(&sim->line);
    if (sim->line.engine)
        dp_close(sim->line.engine);
    sim->line.engine = NULL;
}

/* --- counters
 * ----------------------------------------------------------------------------------------------- */

static uint64_t counter_sum(const struct sim *sim, uint32_t counter)
{
    uint64_t sum = 0;
    for (uint32_t worker = 0; worker < sim->scenario.workers; worker++)
        sum += dp_counter_value(sim->line.engine, worker, counter);
    return sum;
}

/* Where the counter stands; looked up once in a run for each name that the ledger needs. */
static uint32_t find_counter(const char *name)
{
    uint32_t counter = 0;
    while (counter < dp_counter_count() && strcmp(dp_counter_info(counter)->name, name) != 0)
        counter++;
    return counter;
}

uint64_t line_count(const struct sim *sim, const char *name)
{
    uint32_t counter = find_counter(name);
    if (counter == dp_counter_count())
        abort(); /* there is no such counter any more */
    return counter_sum(sim, counter);
}

uint64_t line_account(const struct sim *sim, enum account account)
{
    return counter_sum(sim, sim->line.accounts[account]);
}

static uint64_t kind_sum(const struct sim *sim, uint32_t kind)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < dp_counter_count(); i++)
        if (dp_counter_info(i)->kind == kind)
            sum += counter_sum(sim, i);
    return sum;
}

static void check_sum(struct sim *sim, const char *account, uint64_t left, uint64_t right)
{
    if (left != right)
        sim_fail(sim, "the ledger does not close: %s, %llu and %llu", account, (unsigned long long)left,
                 (unsigned long long)right);
}

void line_check_ledger(struct sim *sim)
{
#define OF(name) line_account(sim, ACCOUNT_##name)
    check_sum(sim, "mirror frames", OF(mirror_frames) + OF(mirror_handed_in),
              OF(mirror_accepted) + OF(mirror_handed_off) + kind_sum(sim, DP_DROP_MIRROR));
    check_sum(sim, "test frames", OF(test_frames) + OF(test_handed_in),
              OF(test_accepted) + OF(test_handed_off) + kind_sum(sim, DP_DROP_TEST));
    check_sum(sim, "sessions", OF(sessions_opened), kind_sum(sim, DP_SESSION_END) + OF(sessions_live));
    check_sum(sim, "connections", OF(connections_opened), OF(connections_closed) + OF(connections_live));
    check_sum(sim, "request bytes", OF(request_bytes_taken),
              OF(request_bytes_acked) + OF(request_bytes_abandoned) + OF(request_bytes_pending));
    check_sum(sim, "sent frames", OF(sent_frames), sim->line.frames_out);
#undef OF
}

/* --- frames
 * --------------------------------------------------------------------------------------------------- */

static void digest(struct sim *sim, uint32_t way, const uint8_t *bytes, uint32_t size)
{
    uint64_t sum = mix64(sim->digest ^ sim->now ^ (uint64_t)way << 60 ^ size);
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof(word));
        sum = (sum ^ word) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 29;
    }
    while (size)
        sum = (sum ^ bytes[--size]) * 0x9e3779b97f4a7c15;
    sim->digest = sum;
}

static void note_frame(const struct sim *sim, const char *way, const struct segment *segment, uint32_t seq,
                       uint32_t ack)
{
    const uint8_t flags = segment->flags;
    if (!sim->trace)
        return;
    sim_note(sim, "%s %s%s%s%s%s seq %d ack %d window %u%s%u bytes", way, flags & SYN ? "S" : "",
             flags & FIN ? "F" : "", flags & RST ? "R" : "", flags & PSH ? "P" : "", flags & ACK ? "A" : "",
             (int32_t)(segment->seq - seq - 1), flags & ACK ? (int32_t)(segment->ack - ack - 1) : 0,
             segment->window, segment->sack_count ? " sack " : " ", segment->size);
}

void line_take(struct sim *sim, const struct event *event)
{
    struct segment segment;
    uint32_t port = event->way == WAY_MIRROR ? PORT_MIRROR : PORT_TEST;
    char name[32];
    digest(sim, event->way, event->bytes, event->size);
    if (!frame_read(event->bytes, event->size, &segment)) {
        sim_note(sim, "a damaged frame");
    } else if (port == PORT_MIRROR) {
        struct connection *connection = &sim->connections[event->about];
        bool client = host_equal(&segment.from, &connection->client);
        production_on_shown(sim, connection, &segment);
        judge_on_mirrored(sim, event->about);
        snprintf(name, sizeof(name), "connection %u %s:", event->about, client ? "client" : "server");
        note_frame(sim, name, &segment, client ? connection->client_isn : connection->server_isn,
                   client ? connection->server_isn : connection->client_isn);
    } else {
        struct record *record = &sim->records[event->about];
        judge_on_answer(sim, record, &segment);
        snprintf(name, sizeof(name), "session %u <-", event->about);
        note_frame(sim, name, &segment, record->syn_ack.seq, record->iss);
    }
    while (dp_mem_send(sim->line.engine, port, event->queue, event->bytes, event->size))
        line_step(sim);
    sim->line.frames_in[port]++;
}

static void on_sent(struct sim *sim, const uint8_t *bytes, uint32_t size)
{
    struct segment segment;
    char name[32];
    sim->line.frames_out++;
    digest(sim, WAY_UP, bytes, size);
    if (!frame_read(bytes, size, &segment))
        sim_fail(sim, "the line has sent a frame that no host understands");
    const struct record *known = judge_find(sim, &segment.from);
    snprintf(name, sizeof(name), "session %u ->", known ? known->index : sim->record_count);
    note_frame(sim, name, &segment, known ? known->iss : 0, known ? known->syn_ack.seq : 0);
    const struct record *record = judge_on_sent(sim, &segment, size);
    path_send(&sim->path, WAY_UP, record->index, sim->now, 0, bytes, size);
}

void line_step(struct sim *sim)
{
    uint8_t bytes[MOST_FRAME];
    struct line *line = &sim->line;
    bool full = false;
    turn(sim);
    line->steps++;
    for (uint32_t queue = 0; queue < sim->scenario.workers; queue++) {
        uint32_t count = 0;
        for (int size; (size = dp_mem_receive(line->engine, PORT_TEST, queue, bytes, sizeof(bytes))) != 0;
             count++) {
            if (size < 0)
                sim_fail(sim, "the line has sent a frame that is too long");
            on_sent(sim, bytes, (uint32_t)size);
        }
        full |= count >= sim->scenario.ring;
    }
    bool behind = line_account(sim, ACCOUNT_mirror_frames) + line_account(sim, ACCOUNT_test_frames) <
                  line->frames_in[PORT_MIRROR] + line->frames_in[PORT_TEST];
    bool handing =
        line_account(sim, ACCOUNT_mirror_handed_off) + line_account(sim, ACCOUNT_test_handed_off) !=
        line_account(sim, ACCOUNT_mirror_handed_in) + line_account(sim, ACCOUNT_test_handed_in);
    line->busy = full || behind || handing;
}
