#include "node_kit.h"
#include "scratch.h"

#include "base/mem.h"
#include "mail/envelope.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PORT_FIRST = 20100 };

/* --- Waiting ----------------------------------------------------------------------------- */

void world_until(struct world *world, bool (*has_come)(void *me), void *me)
{
    scratch_until(world->loop, has_come, me);
}

bool world_links_are_up(void *me)
{
    struct world *world = me;

    for (unsigned i = 0; i < world->count; i++) {
        struct node_facts facts;
        if (!world->machines[i].node)
            continue;
        node_get_facts(world->machines[i].node, &facts);
        if (facts.links_out != 2 * (world->count - 1) || facts.links_in != facts.links_out ||
            facts.ledger.is_fencing)
            return false;
    }
    return true;
}

/* --- The path ------------------------------------------------------------------------------ */

struct letter *machine_letter(struct machine *machine, unsigned number)
{
    struct mid mid = letter_mid(number);

    for (unsigned i = 0; i < machine->letter_count; i++) {
        struct letter *letter = &machine->letters[i];
        if (mid_equal(letter->mid, mid) && (letter->is_live || !letter->is_answered))
            return letter;
    }
    return NULL;
}

static struct letter *find(struct machine *machine, struct mid mid)
{
    for (unsigned i = 0; i < machine->letter_count; i++)
        if (machine->letters[i].is_live && mid_equal(machine->letters[i].mid, mid))
            return &machine->letters[i];
    return NULL;
}

static struct spool_entry *entry_of(void *me, struct mid mid)
{
    struct letter *letter = find(me, mid);

    return letter && letter->is_answered ? &letter->entry : NULL;
}

static void on_release(void *me, struct mid mid)
{
    struct letter *letter = find(me, mid);

    if (letter)
        letter->is_held_back = false;
}

static struct letter *add_letter(struct machine *machine, struct mid mid)
{
    struct letter *letter = &machine->letters[machine->letter_count++];

    assert_in_range(machine->letter_count, 1, LETTERS_MAX);
    *letter = (struct letter){ .machine = machine, .mid = mid };
    list_init(&letter->entry.in_segment);
    return letter;
}

static void on_take(void *me, struct spool_entry *entry, uint16_t generation, const char *from)
{
    struct machine *machine = me;
    struct letter *letter;

    assert_null(find(machine, entry->by_mid.mid));
    letter = add_letter(machine, entry->by_mid.mid);
    spool_move_entry(machine->spool, entry, &letter->entry);
    letter->is_live = letter->is_answered = letter->is_taken = true;
    letter->generation = generation;
    snprintf(letter->from, sizeof letter->from, "%s", from);
}

static void on_withdraw(void *me, struct mid mid)
{
    struct machine *machine = me;
    struct letter *letter = find(machine, mid);

    if (!letter)
        return;
    letter->is_withdrawn = true;
    if (letter->is_busy)
        return; /* later */
    letter->is_live = false;
    node_give_back(machine->node, &letter->entry);
}

/* --- Letters ------------------------------------------------------------------------------- */

struct mid letter_mid(unsigned number)
{
    struct mid mid = { { 0 } };

    memcpy(mid.byte, &number, sizeof number);
    mid.byte[8] = 0xaa;
    mid.byte[15] = 1;
    return mid;
}

/* Lines of 64 bytes, quickly: the loop that waits meanwhile has heartbeats to keep. */
static uint8_t *make_content(unsigned number, size_t n)
{
    uint8_t *content = mem_new(n + 64);

    for (size_t at = 0; at < n; at += 64) {
        memset(content + at, 'a' + (int)((number + at / 64) % 26), 62);
        memcpy(content + at + 62, "\r\n", 2);
    }
    return content;
}

static void make_envelope(unsigned number, size_t n, unsigned count, struct buf *out)
{
    struct recipient *recipients = mem_new(count * sizeof *recipients);
    char(*addresses)[40] = mem_new(count * sizeof *addresses);
    struct envelope envelope = { .sender = BYTES("alice@example.com"),
        .envid = BYTES("QQ314159"),
        .body = BODY_8BITMIME,
        .priority = 3,
        .arrived = { 1790000000123 },
        .connector = BYTES("Default"),
        .client_name = BYTES("client.example.com"),
        .client_ip = BYTES("192.0.2.7"),
        .prepend = BYTES("Received: from a by b; today\r\n"),
        .content_bytes = n,
        .recipients = recipients,
        .recipient_count = count };

    for (unsigned i = 0; i < count; i++) {
        snprintf(addresses[i], sizeof *addresses, "bob%u.%u@example.net", number, i);
        recipients[i] = (struct recipient){ .address = bytes_text(addresses[i]),
            .orcpt = i % 2 ? BYTES("rfc822;bob+2Bb@example.net") : BYTES_NONE,
            .notify = i % 3 == 0 ? NOTIFY_FAILURE | NOTIFY_DELAY : 0 };
    }
    buf_init(out, ENVELOPE_BYTES_MAX);
    assert_int_equal(envelope_encode(&envelope, out), OK);
    free(recipients);
    free(addresses);
}

static void on_done(struct node_acceptance *acceptance, enum ledger_verdict verdict,
    enum standing_single single)
{
    struct letter *letter = container_of(acceptance, struct letter, acceptance);

    assert_false(letter->is_answered);
    letter->is_answered = true;
    letter->verdict = verdict;
    letter->single = single;
    letter->is_live = verdict != LEDGER_REJECT && verdict != LEDGER_OTHER;
    spool_content_free(letter->content);
    letter->content = NULL;
}

static void on_committed(struct spool_ticket *ticket)
{
    struct letter *letter = container_of(ticket, struct letter, ticket);
    struct machine *machine = letter->machine;

    assert_int_equal(ticket->err, OK);
    letter->entry = ticket->entry;
    list_init(&letter->entry.in_segment);
    spool_content_free(ticket->content);
    spool_adopt(machine->spool, &letter->entry);
    node_committed(machine->node, &letter->acceptance, &letter->entry);
}

struct letter *machine_accept(
    struct machine *machine, unsigned number, size_t n, unsigned recipients)
{
    struct letter *letter = add_letter(machine, letter_mid(number));
    uint8_t *content = make_content(number, n);
    struct spool_writer *writer =
        spool_writer_new(machine->spool, machine->loop, 1 << 30, NULL, NULL);
    struct standing standing;
    struct buf envelope;

    make_envelope(number, n, recipients, &envelope);
    letter->envelope = envelope.at;
    letter->envelope_n = envelope.n;
    assert_int_equal(spool_append(writer, bytes_of(content, n)), OK);
    free(content);
    letter->content = spool_writer_content(writer);
    letter->acceptance = (struct node_acceptance){ .by_mid.mid = letter->mid,
        .envelope = buf_bytes(&envelope),
        .recipient_count = recipients,
        .content = letter->content,
        .failure = machine->settings->transport.rejects_on_shadow_failure
                       ? SHADOW_FAILURE_REJECT
                       : SHADOW_FAILURE_ACCEPT,
        .on_done = on_done };
    if (!node_accept(machine->node, &letter->acceptance, &standing)) {
        letter->is_refused = letter->is_answered = true;
        spool_content_free(letter->content);
        letter->content = NULL;
        spool_abandon(&writer);
        return letter;
    }
    letter->ticket = (struct spool_ticket){
        .spool = machine->spool, .loop = machine->loop, .on_done = on_committed
    };
    spool_commit(&writer, letter->mid, letter->acceptance.envelope, recipients, NULL, &standing,
        &letter->ticket);
    return letter;
}

bool letter_is_answered(void *letter)
{
    return ((struct letter *)letter)->is_answered;
}

void letter_deliver(struct letter *letter, uint32_t recipient)
{
    spool_note(letter->machine->spool, &letter->entry, &recipient, 1, SPOOL_DELIVERED);
}

void letter_settle(struct letter *letter)
{
    assert_true(letter->is_live);
    for (uint32_t i = 0; i < letter->entry.recipient_count; i++)
        if (spool_is_pending(spool_entry_outcome(&letter->entry, i)))
            letter_deliver(letter, i);
    letter->is_live = false;
    node_settled(letter->machine->node, &letter->entry);
}

/* --- Reading back -------------------------------------------------------------------------- */

struct reading {
    struct spool_read read;
    bool is_done;
};

static void on_read(struct spool_read *read)
{
    container_of(read, struct reading, read)->is_done = true;
}

static bool is_done(void *me)
{
    return ((struct reading *)me)->is_done;
}

static void check_envelope(
    const struct reading *reading, unsigned number, size_t n, unsigned recipients)
{
    struct bytes got = bytes_of(reading->read.envelope, reading->read.envelope_n);
    struct envelope_cursor at, want_at;
    struct envelope envelope, want;
    struct recipient recipient, wanted;
    struct buf accepted;

    make_envelope(number, n, recipients, &accepted);
    assert_int_equal(envelope_decode(got, &envelope), OK);
    assert_int_equal(envelope_decode(buf_bytes(&accepted), &want), OK);
    check_bytes("sender", envelope.sender, want.sender);
    check_bytes("envid", envelope.envid, want.envid);
    check_bytes("prepend", envelope.prepend, want.prepend);
    check_bytes("connector", envelope.connector, want.connector);
    check_bytes("client", envelope.client_ip, want.client_ip);
    assert_int_equal(envelope.content_bytes, n);
    assert_int_equal(envelope.priority, want.priority);
    assert_int_equal(envelope.body, want.body);
    assert_int_equal(envelope.arrived.ms, want.arrived.ms);
    assert_int_equal(envelope.recipient_count, recipients);
    envelope_recipients(got, &at);
    envelope_recipients(buf_bytes(&accepted), &want_at);
    while (envelope_next_recipient(&want_at, &wanted)) {
        assert_true(envelope_next_recipient(&at, &recipient));
        check_bytes("recipient", recipient.address, wanted.address);
        check_bytes("orcpt", recipient.orcpt, wanted.orcpt);
        assert_int_equal(recipient.notify, wanted.notify);
    }
    buf_done(&accepted);
}

void machine_check_content(struct world *world, struct machine *machine, unsigned number,
    size_t n, unsigned recipients)
{
    struct letter *letter = find(machine, letter_mid(number));
    struct spool_entry *entry =
        letter ? &letter->entry : node_find_entry(machine->node, letter_mid(number));
    struct reading reading = { .read = { .done = on_read, .wants_envelope = true } };
    uint8_t *content;

    assert_non_null(entry);
    spool_read(machine->spool, entry, 0, n, &reading.read);
    world_until(world, is_done, &reading);
    assert_int_equal(reading.read.err, OK);
    assert_int_equal(reading.read.n, n);
    content = make_content(number, n);
    assert_memory_equal(reading.read.at, content, n);
    free(content);
    check_envelope(&reading, number, n, recipients);
    free(reading.read.at);
    free(reading.read.envelope);
}

/* --- Recovery ------------------------------------------------------------------------------ */

struct recovered {
    struct spool_found found;
    uint8_t *envelope;
};

static void on_found(void *me, const struct spool_found *found)
{
    struct machine *machine = me;
    struct recovered *recovered;

    machine->recovered = mem_grow(
        machine->recovered, (machine->recovered_count + 1) * sizeof *machine->recovered);
    recovered = &machine->recovered[machine->recovered_count++];
    recovered->found = *found;
    recovered->envelope = mem_copy(found->envelope.at, found->envelope.n);
    recovered->found.envelope = bytes_of(recovered->envelope, found->envelope.n);
}

static void recover(struct machine *machine)
{
    for (unsigned i = 0; i < machine->recovered_count; i++) {
        struct recovered *recovered = &machine->recovered[i];
        enum node_found answer = node_recover(machine->node, &recovered->found);
        if (answer != NODE_TAKEN) {
            struct letter *letter = add_letter(machine, recovered->found.mid);
            letter->entry = recovered->found.entry;
            list_init(&letter->entry.in_segment);
            spool_adopt(machine->spool, &letter->entry);
            letter->is_live = letter->is_answered = true;
            letter->is_held_back = answer == NODE_HELD_BACK;
        }
        free(recovered->envelope);
    }
    free(machine->recovered);
    machine->recovered = NULL;
    machine->recovered_count = 0;
}

/* --- Beginning and end ---------------------------------------------------------------------- */

static void on_accept(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    struct machine *machine = me;

    (void)peer;
    (void)local;
    node_open_link(machine->node, fd);
}

/* Loopback addresses of this process alone: tests run side by side. */
static void address_text(char out[IP_TEXT_BYTES])
{
    unsigned pid = (unsigned)getpid();

    snprintf(out, IP_TEXT_BYTES, "127.44.%u.%u", pid >> 8 & 255, pid & 255);
}

static struct endpoint endpoint_of(unsigned number)
{
    struct endpoint endpoint = { .port = (uint16_t)(PORT_FIRST + number) };
    char text[IP_TEXT_BYTES];

    address_text(text);
    assert_true(ip_parse(bytes_text(text), &endpoint.ip));
    return endpoint;
}

static unsigned number_of(const struct machine *machine)
{
    return (unsigned)(machine->name[3] - '0');
}

void machine_start(struct machine *machine)
{
    struct endpoint at = endpoint_of(number_of(machine));
    struct spool_settings spool = { .folder = machine->folder,
        .segment_bytes = machine->settings->spool_segment_bytes,
        .bytes_max = machine->settings->spool_bytes_max,
        .chunk_bytes = 256 << 10 };
    struct spool_visitor visitor = { .me = machine, .on_message = on_found };
    struct node_config config = { .home = machine->loop,
        .settings = machine->settings,
        .path = { machine, entry_of, on_release, on_take, on_withdraw } };
    char why[512] = "";

    machine->letter_count = 0;
    machine->is_stopped = false;
    if (spool_open(&machine->spool, machine->loop, &spool, &visitor, why) != OK)
        fail_msg("%s", why);
    config.spool = machine->spool;
    if (node_new(&config, &machine->node, why) != OK)
        fail_msg("%s", why);
    recover(machine);
    node_start(machine->node);
    assert_int_equal(
        listener_open(machine->loop, &at, 0, on_accept, machine, &machine->listener), OK);
}

static void on_stopped(void *me)
{
    ((struct machine *)me)->is_stopped = true;
}

static bool is_stopped(void *me)
{
    return ((struct machine *)me)->is_stopped;
}

void machine_stop(struct world *world, struct machine *machine)
{
    if (!machine->node)
        return;
    listener_close(machine->listener);
    node_stop(machine->node, on_stopped, machine);
    world_until(world, is_stopped, machine);
    for (unsigned i = 0; i < machine->letter_count; i++) {
        struct letter *letter = &machine->letters[i];
        if (letter->is_live)
            spool_leave(machine->spool, &letter->entry);
        free(letter->envelope);
    }
    machine->letter_count = 0;
    node_free(machine->node);
    spool_close(machine->spool);
    machine->node = NULL;
    machine->spool = NULL;
}

void machine_lose_spool(struct machine *machine)
{
    assert_null(machine->node);
    scratch_empty(machine->folder);
}

static void set_times(struct transport_settings *transport)
{
    transport->heartbeat_frequency_ms = 300;
    transport->heartbeat_timeout_ms = 1500;
    transport->heartbeat_retry_count = 2;
}

static void make_settings(struct machine *machine, unsigned number)
{
    struct settings *settings;
    char path[128], why[TLS_ERROR_BYTES];

    snprintf(machine->name, sizeof machine->name, "ex0%u.example.com", number);
    snprintf(machine->folder, sizeof machine->folder, "/tmp/relais-node-XXXXXX");
    assert_non_null(mkdtemp(machine->folder));
    settings = machine->settings = settings_new(machine->name);
    free(settings->spool_folder);
    free(settings->cluster_certificate_file);
    free(settings->cluster_key_file);
    settings->spool_folder = mem_text(machine->folder);
    snprintf(path, sizeof path, "%s-node.pem", machine->folder);
    settings->cluster_certificate_file = mem_text(path);
    snprintf(path, sizeof path, "%s-node.key", machine->folder);
    settings->cluster_key_file = mem_text(path);
    settings->spool_segment_bytes = 1 << 20;
    set_times(&settings->transport);
    assert_int_equal(tls_node_key_make(machine->name, settings->cluster_certificate_file,
                         settings->cluster_key_file, why),
        OK);
}

static void introduce(struct world *world, struct machine *machine)
{
    struct settings *settings = machine->settings;
    char why[TLS_ERROR_BYTES], address[IP_TEXT_BYTES];

    address_text(address);
    settings->nodes = mem_new(world->count * sizeof *settings->nodes);
    for (unsigned i = 0; i < world->count; i++) {
        struct machine *other = &world->machines[i];
        struct cluster_node *node = &settings->nodes[settings->node_count];
        struct tls_pin pin;
        if (other == machine)
            continue;
        settings->node_count++;
        node->name = mem_text(other->name);
        node->host = mem_text(address);
        node->port = endpoint_of(i + 1).port;
        assert_int_equal(
            tls_pin_of_file(other->settings->cluster_certificate_file, &pin, why), OK);
        memcpy(node->pin, pin.byte, sizeof node->pin);
    }
}

void world_init(struct world *world, unsigned count)
{
    memset(world, 0, sizeof *world);
    world->count = count;
    assert_int_equal(loop_new(&world->loop), OK);
    for (unsigned i = 0; i < count; i++) {
        world->machines[i].loop = world->loop;
        make_settings(&world->machines[i], i + 1);
    }
    for (unsigned i = 0; i < count; i++)
        introduce(world, &world->machines[i]);
}

static void drop_machine(struct world *world, struct machine *machine)
{
    machine_stop(world, machine);
    machine_lose_spool(machine);
    assert_int_equal(rmdir(machine->folder), 0);
    (void)unlink(machine->settings->cluster_certificate_file);
    (void)unlink(machine->settings->cluster_key_file);
    settings_free(machine->settings);
}

void world_done(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++)
        drop_machine(world, &world->machines[i]);
    loop_free(world->loop);
}
