"""Settings that Kafka knows and this broker has no use for.

A `server.properties` written for Kafka must start us, and tools ask for any setting by name; so each of
them is accepted, checked as Kafka checks it, and described with Kafka's own default.  None of them changes what
this broker does: the start says once which of them were given.  A setting that comes to mean something moves
from here to `settings`.

One row is one setting: name, type, when it may change, what it may be, default.

    1..       at least 1                        {a|b}    one of these words (a list: each of its entries)
    1..10     from 1 to 10                      i{A|B}   one of these words, upper or lower case
    +         not empty                         +{a|b}   a list, not empty, of these words
    *         a list without further rules      -        no further rule; as a default: not set

Taken from the running Apache Kafka 4.3.1 (its `ConfigDef`), without the names it keeps to itself.
"""
# ruff: noqa: E501  (a table: one row, one line)

from __future__ import annotations

import re
from collections.abc import Iterator

from .setting import (
    Check,
    Setting,
    SettingType,
    Update,
    between,
    entries,
    not_empty,
    one_of,
    one_of_ignoring_case,
)

_TABLE = """
add.partitions.to.txn.retry.backoff.ms                      int      read-only     1..      20
alter.config.policy.class.name                              class    read-only     -        -
alter.log.dirs.replication.quota.window.num                 int      read-only     1..      11
alter.log.dirs.replication.quota.window.size.seconds        int      read-only     1..      1
authorizer.class.name                                       string   read-only     -        ""
auto.leader.rebalance.enable                                boolean  read-only     -        true
background.threads                                          int      cluster-wide  1..      10
broker.heartbeat.interval.ms                                int      read-only     -        2000
broker.session.timeout.ms                                   int      read-only     -        9000
client.quota.callback.class                                 class    read-only     -        -
config.providers                                            list     cluster-wide  -        ""
connection.failed.authentication.delay.ms                   int      read-only     0..      100
connections.max.reauth.ms                                   long     read-only     -        0
controlled.shutdown.enable                                  boolean  read-only     -        true
controller.quorum.append.linger.ms                          int      read-only     0..      25
controller.quorum.auto.join.enable                          boolean  read-only     -        false
controller.quorum.bootstrap.servers                         list     read-only     *        ""
controller.quorum.election.backoff.max.ms                   int      read-only     0..      1000
controller.quorum.election.timeout.ms                       int      read-only     0..      1000
controller.quorum.fetch.max.bytes                           int      read-only     1..      1048576
controller.quorum.fetch.snapshot.max.bytes                  int      read-only     1..      1048576
controller.quorum.fetch.timeout.ms                          int      read-only     0..      2000
controller.quorum.request.timeout.ms                        int      read-only     0..      2000
controller.quorum.retry.backoff.ms                          int      read-only     0..      20
controller.quorum.voters                                    list     read-only     *        ""
controller.quota.window.num                                 int      read-only     1..      11
controller.quota.window.size.seconds                        int      read-only     1..      1
controller.socket.timeout.ms                                int      read-only     -        30000
cordoned.log.dirs                                           list     per-broker    -        ""
create.topic.policy.class.name                              class    read-only     -        -
delegation.token.expiry.check.interval.ms                   long     read-only     1..      3600000
delegation.token.expiry.time.ms                             long     read-only     1..      86400000
delegation.token.max.lifetime.ms                            long     read-only     1..      604800000
delegation.token.secret.key                                 password read-only     -        -
delete.records.purgatory.purge.interval.requests            int      read-only     -        1
early.start.listeners                                       list     read-only     -        -
fetch.purgatory.purge.interval.requests                     int      read-only     -        1000
follower.fetch.last.tiered.offset.enable                    boolean  cluster-wide  -        false
group.coordinator.append.linger.ms                          int      read-only     -1..     -1
group.coordinator.background.threads                        int      read-only     1..      2
group.coordinator.cached.buffer.max.bytes                   int      cluster-wide  524288.. 1048588
group.coordinator.threads                                   int      read-only     1..      4
group.share.assignment.interval.ms                          int      cluster-wide  0..      1000
group.share.assignors                                       list     read-only     +        simple
group.share.delivery.count.limit                            int      read-only     2..10    5
group.share.heartbeat.interval.ms                           int      read-only     1..      5000
group.share.max.assignment.interval.ms                      int      read-only     0..      15000
group.share.max.delivery.count.limit                        int      read-only     5..25    10
group.share.max.heartbeat.interval.ms                       int      read-only     1..      15000
group.share.max.partition.max.record.locks                  int      read-only     2000..10000 4000
group.share.max.record.lock.duration.ms                     int      read-only     30000..3600000 60000
group.share.max.session.timeout.ms                          int      read-only     1..      60000
group.share.max.share.sessions                              int      read-only     1..      2000
group.share.max.size                                        int      read-only     1..1000  200
group.share.min.assignment.interval.ms                      int      read-only     0..      0
group.share.min.delivery.count.limit                        int      read-only     2..5     2
group.share.min.heartbeat.interval.ms                       int      read-only     1..      5000
group.share.min.partition.max.record.locks                  int      read-only     100..2000 100
group.share.min.record.lock.duration.ms                     int      read-only     1000..30000 15000
group.share.min.session.timeout.ms                          int      read-only     1..      45000
group.share.partition.max.record.locks                      int      read-only     100..10000 2000
group.share.record.lock.duration.ms                         int      read-only     1000..3600000 30000
group.share.session.timeout.ms                              int      read-only     1..      45000
group.streams.assignment.interval.ms                        int      cluster-wide  0..      1000
group.streams.heartbeat.interval.ms                         int      read-only     1..      5000
group.streams.initial.rebalance.delay.ms                    int      read-only     0..      3000
group.streams.max.assignment.interval.ms                    int      read-only     0..      15000
group.streams.max.heartbeat.interval.ms                     int      read-only     1..      15000
group.streams.max.session.timeout.ms                        int      read-only     1..      60000
group.streams.max.size                                      int      read-only     1..      2147483647
group.streams.max.standby.replicas                          int      read-only     0..      2
group.streams.min.assignment.interval.ms                    int      read-only     0..      0
group.streams.min.heartbeat.interval.ms                     int      read-only     1..      5000
group.streams.min.session.timeout.ms                        int      read-only     1..      45000
group.streams.num.standby.replicas                          int      read-only     0..      0
group.streams.session.timeout.ms                            int      read-only     1..      45000
initial.broker.registration.timeout.ms                      int      read-only     -        60000
inter.broker.listener.name                                  string   read-only     -        -
kafka.metrics.polling.interval.secs                         int      read-only     1..      10
kafka.metrics.reporters                                     list     read-only     -        ""
leader.imbalance.check.interval.seconds                     long     read-only     1..      300
log.dir.failure.timeout.ms                                  long     read-only     1..      30000
log.flush.start.offset.checkpoint.interval.ms               int      read-only     0..      60000
max.connection.creation.rate                                int      cluster-wide  0..      2147483647
metadata.log.dir                                            string   read-only     -        -
metadata.log.max.record.bytes.between.snapshots             long     read-only     1..      20971520
metadata.log.max.snapshot.interval.ms                       long     read-only     0..      3600000
metadata.log.segment.bytes                                  int      read-only     8388608.. 1073741824
metadata.log.segment.ms                                     long     read-only     -        604800000
metadata.max.idle.interval.ms                               int      read-only     0..      500
metadata.max.retention.bytes                                long     read-only     -        104857600
metadata.max.retention.ms                                   long     read-only     -        604800000
metric.reporters                                            list     cluster-wide  -        org.apache.kafka.common.metrics.JmxReporter
metrics.num.samples                                         int      read-only     1..      2
metrics.recording.level                                     string   read-only     -        INFO
metrics.sample.window.ms                                    long     read-only     1..      30000
num.io.threads                                              int      cluster-wide  1..      8
num.network.threads                                         int      cluster-wide  1..      3
num.replica.alter.log.dirs.threads                          int      read-only     -        -
num.replica.fetchers                                        int      cluster-wide  1..      1
offsets.load.buffer.size                                    int      read-only     1..      5242880
principal.builder.class                                     class    per-broker    -        org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder
process.roles                                               list     read-only     +{broker|controller} -
producer.purgatory.purge.interval.requests                  int      read-only     -        1000
queued.max.requests                                         int      read-only     1..      500
quota.window.num                                            int      read-only     1..      11
quota.window.size.seconds                                   int      read-only     1..      1
remote.fetch.max.wait.ms                                    int      cluster-wide  1..      500
remote.list.offsets.request.timeout.ms                      long     cluster-wide  1..      30000
remote.log.index.file.cache.total.size.bytes                long     cluster-wide  1..      1073741824
remote.log.manager.copier.thread.pool.size                  int      cluster-wide  1..      10
remote.log.manager.copy.max.bytes.per.second                long     cluster-wide  1..      9223372036854775807
remote.log.manager.copy.quota.window.num                    int      read-only     1..      11
remote.log.manager.copy.quota.window.size.seconds           int      read-only     1..      1
remote.log.manager.expiration.thread.pool.size              int      cluster-wide  1..      10
remote.log.manager.fetch.max.bytes.per.second               long     cluster-wide  1..      9223372036854775807
remote.log.manager.fetch.quota.window.num                   int      read-only     1..      11
remote.log.manager.fetch.quota.window.size.seconds          int      read-only     1..      1
remote.log.manager.follower.thread.pool.size                int      cluster-wide  1..      2
remote.log.manager.task.interval.ms                         long     read-only     1..      30000
remote.log.manager.thread.pool.size                         int      read-only     1..      2
remote.log.metadata.custom.metadata.max.bytes               int      read-only     0..      128
remote.log.metadata.manager.class.name                      string   read-only     +        org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager
remote.log.metadata.manager.class.path                      string   read-only     -        -
remote.log.metadata.manager.impl.prefix                     string   read-only     +        rlmm.config.
remote.log.metadata.manager.listener.name                   string   read-only     +        -
remote.log.reader.max.pending.tasks                         int      read-only     1..      100
remote.log.reader.threads                                   int      cluster-wide  1..      10
remote.log.storage.manager.class.name                       string   read-only     +        -
remote.log.storage.manager.class.path                       string   read-only     -        -
remote.log.storage.manager.impl.prefix                      string   read-only     +        rsm.config.
remote.log.storage.system.enable                            boolean  read-only     -        false
replica.fetch.backoff.ms                                    int      read-only     0..      1000
replica.fetch.max.bytes                                     int      read-only     0..      1048576
replica.fetch.min.bytes                                     int      read-only     -        1
replica.fetch.response.max.bytes                            int      read-only     0..      10485760
replica.fetch.wait.max.ms                                   int      read-only     -        500
replica.high.watermark.checkpoint.interval.ms               long     read-only     -        5000
replica.lag.time.max.ms                                     long     read-only     -        30000
replica.selector.class                                      string   read-only     -        -
replica.socket.receive.buffer.bytes                         int      read-only     -        65536
replica.socket.timeout.ms                                   int      read-only     -        30000
replication.quota.window.num                                int      read-only     1..      11
replication.quota.window.size.seconds                       int      read-only     1..      1
request.timeout.ms                                          int      read-only     -        30000
sasl.client.callback.handler.class                          class    read-only     -        -
sasl.enabled.mechanisms                                     list     per-broker    -        GSSAPI
sasl.jaas.config                                            password per-broker    -        -
sasl.kerberos.kinit.cmd                                     string   per-broker    -        /usr/bin/kinit
sasl.kerberos.min.time.before.relogin                       long     per-broker    -        60000
sasl.kerberos.principal.to.local.rules                      list     per-broker    -        DEFAULT
sasl.kerberos.service.name                                  string   per-broker    -        -
sasl.kerberos.ticket.renew.jitter                           double   per-broker    -        0.05
sasl.kerberos.ticket.renew.window.factor                    double   per-broker    -        0.8
sasl.login.callback.handler.class                           class    read-only     -        -
sasl.login.class                                            class    read-only     -        -
sasl.login.connect.timeout.ms                               int      read-only     -        -
sasl.login.read.timeout.ms                                  int      read-only     -        -
sasl.login.refresh.buffer.seconds                           short    per-broker    -        300
sasl.login.refresh.min.period.seconds                       short    per-broker    -        60
sasl.login.refresh.window.factor                            double   per-broker    -        0.8
sasl.login.refresh.window.jitter                            double   per-broker    -        0.05
sasl.login.retry.backoff.max.ms                             long     read-only     -        10000
sasl.login.retry.backoff.ms                                 long     read-only     -        100
sasl.mechanism.controller.protocol                          string   read-only     -        GSSAPI
sasl.mechanism.inter.broker.protocol                        string   per-broker    -        GSSAPI
sasl.oauthbearer.assertion.algorithm                        string   read-only     i{ES256|RS256} RS256
sasl.oauthbearer.assertion.claim.aud                        string   read-only     -        -
sasl.oauthbearer.assertion.claim.exp.seconds                int      read-only     0..86400 300
sasl.oauthbearer.assertion.claim.iss                        string   read-only     -        -
sasl.oauthbearer.assertion.claim.jti.include                boolean  read-only     -        false
sasl.oauthbearer.assertion.claim.nbf.seconds                int      read-only     0..3600  60
sasl.oauthbearer.assertion.claim.sub                        string   read-only     -        -
sasl.oauthbearer.assertion.file                             string   read-only     -        -
sasl.oauthbearer.assertion.private.key.file                 string   read-only     -        -
sasl.oauthbearer.assertion.private.key.passphrase           password read-only     -        -
sasl.oauthbearer.assertion.template.file                    string   read-only     -        -
sasl.oauthbearer.client.credentials.client.id               string   read-only     -        -
sasl.oauthbearer.client.credentials.client.secret           password read-only     -        -
sasl.oauthbearer.clock.skew.seconds                         int      read-only     -        30
sasl.oauthbearer.expected.audience                          list     read-only     -        ""
sasl.oauthbearer.expected.issuer                            string   read-only     -        -
sasl.oauthbearer.jwks.endpoint.refresh.ms                   long     read-only     -        3600000
sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms         long     read-only     -        10000
sasl.oauthbearer.jwks.endpoint.retry.backoff.ms             long     read-only     -        100
sasl.oauthbearer.jwks.endpoint.url                          string   read-only     -        -
sasl.oauthbearer.jwt.retriever.class                        class    read-only     -        org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever
sasl.oauthbearer.jwt.validator.class                        class    read-only     -        org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator
sasl.oauthbearer.scope                                      string   read-only     -        -
sasl.oauthbearer.scope.claim.name                           string   read-only     -        scope
sasl.oauthbearer.sub.claim.name                             string   read-only     -        sub
sasl.oauthbearer.token.endpoint.url                         string   read-only     -        -
sasl.server.callback.handler.class                          class    read-only     -        -
sasl.server.max.receive.size                                int      read-only     -        524288
security.inter.broker.protocol                              string   read-only     {PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL} PLAINTEXT
security.providers                                          string   read-only     -        -
share.coordinator.append.linger.ms                          int      read-only     -1..     -1
share.coordinator.cached.buffer.max.bytes                   int      cluster-wide  524288.. 1048588
share.coordinator.load.buffer.size                          int      read-only     1..      5242880
share.coordinator.snapshot.update.records.per.snapshot      int      read-only     0..500   500
share.coordinator.state.topic.compression.codec             int      read-only     -        0
share.coordinator.state.topic.min.isr                       short    read-only     1..      2
share.coordinator.state.topic.num.partitions                int      read-only     1..      50
share.coordinator.state.topic.replication.factor            short    read-only     1..      3
share.coordinator.state.topic.segment.bytes                 int      read-only     1..      104857600
share.coordinator.threads                                   int      read-only     1..      1
share.coordinator.write.timeout.ms                          int      read-only     1..      5000
share.fetch.purgatory.purge.interval.requests               int      read-only     -        1000
socket.connection.setup.timeout.max.ms                      long     read-only     -        30000
socket.connection.setup.timeout.ms                          long     read-only     -        10000
socket.listen.backlog.size                                  int      read-only     1..      50
socket.receive.buffer.bytes                                 int      read-only     -        102400
socket.send.buffer.bytes                                    int      read-only     -        102400
ssl.allow.dn.changes                                        boolean  read-only     -        false
ssl.allow.san.changes                                       boolean  read-only     -        false
ssl.cipher.suites                                           list     per-broker    -        ""
ssl.client.auth                                             string   per-broker    {required|requested|none} none
ssl.enabled.protocols                                       list     per-broker    -        TLSv1.2,TLSv1.3
ssl.endpoint.identification.algorithm                       string   per-broker    -        https
ssl.engine.factory.class                                    class    per-broker    -        -
ssl.key.password                                            password per-broker    -        -
ssl.keymanager.algorithm                                    string   per-broker    -        SunX509
ssl.keystore.certificate.chain                              password per-broker    -        -
ssl.keystore.key                                            password per-broker    -        -
ssl.keystore.location                                       string   per-broker    -        -
ssl.keystore.password                                       password per-broker    -        -
ssl.keystore.type                                           string   per-broker    -        JKS
ssl.principal.mapping.rules                                 string   read-only     -        DEFAULT
ssl.protocol                                                string   per-broker    -        TLSv1.3
ssl.provider                                                string   per-broker    -        -
ssl.secure.random.implementation                            string   per-broker    -        -
ssl.trustmanager.algorithm                                  string   per-broker    -        PKIX
ssl.truststore.certificates                                 password per-broker    -        -
ssl.truststore.location                                     string   per-broker    -        -
ssl.truststore.password                                     password per-broker    -        -
ssl.truststore.type                                         string   per-broker    -        JKS
telemetry.max.bytes                                         int      read-only     1..      1048576
transaction.state.log.load.buffer.size                      int      read-only     1..      5242880
transaction.state.log.min.isr                               int      read-only     1..      2
transaction.two.phase.commit.enable                         boolean  read-only     -        false
"""


def kafka_only_settings() -> Iterator[Setting]:
    """Every row of the table as a setting that does not act."""
    for row in _TABLE.strip().splitlines():
        name, kind, update, rule, default = row.split()
        type_ = SettingType[kind.upper()]
        bare = Setting(name=name, type=type_, default=None)
        yield Setting(
            name=name,
            type=type_,
            default=None if default == "-" else bare.parse("" if default == '""' else default),
            check=_check(rule, type_),
            update=Update(update),
        )


def _check(rule: str, type_: SettingType) -> Check | None:
    words = tuple(re.sub(r".*\{|\}", "", rule).split("|")) if "{" in rule else ()
    if type_ is SettingType.LIST:
        return None if rule == "*" else entries(*words, may_be_empty="+" not in rule)
    if words:
        return one_of_ignoring_case(*words) if rule.startswith("i") else one_of(*words)
    if ".." in rule:
        least, most = rule.split("..")
        return between(int(least), int(most) if most else None)
    return not_empty if rule == "+" else None
