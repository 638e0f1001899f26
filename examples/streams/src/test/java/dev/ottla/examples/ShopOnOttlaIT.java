package dev.ottla.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The same topology on a broker, with everything killed that can be killed. */
@Timeout(600)
class ShopOnOttlaIT {
    private static final int PARTITIONS = 2;
    private static final int ROUNDS = Integer.getInteger("rounds", 3);
    private static final int EVENTS_PER_ROUND = Integer.getInteger("events", 2_000);
    private static final List<String> COUNTRIES = List.of("AT", "CZ", "DE", "SK");
    private static final List<String> WORDS = List.of("good", "bad", "book", "price", "shop", "never", "again");
    private static final Duration PATIENCE = Duration.ofSeconds(120);

    @TempDir
    Path folder;

    private final Random random = new Random(1);
    private final Map<String, Long> words = new TreeMap<>();
    private final Map<String, Long> revenue = new TreeMap<>();
    private OttlaProcess broker;
    private ApplicationProcess application;

    @BeforeEach
    void startBroker() throws Exception {
        broker = new OttlaProcess(folder);
        List<NewTopic> topics = Stream.of(
                        ShopTopology.REVIEWS, ShopTopology.WORD_COUNTS, ShopTopology.ORDERS, ShopTopology.USERS,
                        ShopTopology.REVENUE)
                .map(name -> new NewTopic(name, PARTITIONS, (short) 1))
                .toList();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
            admin.createTopics(topics).all().get();
        }
    }

    @AfterEach
    void stopEverything() throws Exception {
        if (application != null) {
            application.close();
        }
        broker.close();
    }

    @Test
    void everyEventCountsExactlyOnceThroughKillsOfTheApplicationAndTheBroker() throws Exception {
        writeUsers();
        application = new ApplicationProcess(broker.bootstrapServers(), folder);
        for (int round = 0; round < ROUNDS; round++) {
            writeEvents();
            waitForSomeOutput();
            application.kill();
            broker.kill();
            broker.start();
            application = new ApplicationProcess(broker.bootstrapServers(), folder);
        }
        writeEvents();

        assertEquals(words, settled(ShopTopology.WORD_COUNTS, words));
        assertEquals(revenue, settled(ShopTopology.REVENUE, revenue));
    }

    @Test
    void streamsMakesItsOwnTopicsAsOnKafka() throws Exception {
        writeUsers();
        application = new ApplicationProcess(broker.bootstrapServers(), folder);
        writeEvents();
        assertEquals(words, settled(ShopTopology.WORD_COUNTS, words));

        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
            Set<String> names = admin.listTopics().names().get();
            String prefix = ShopApplication.APPLICATION_ID;
            for (String made : List.of("words-repartition", "word-counts-store-changelog", "revenue-store-changelog")) {
                assertTrue(names.contains(prefix + "-" + made), made + " is not among " + names);
            }
        }
    }

    private void writeUsers() {
        write(IntStream.range(0, 100)
                .mapToObj(number -> new ProducerRecord<>(ShopTopology.USERS, "u" + number, countryOf(number))));
    }

    private void writeEvents() {
        write(IntStream.range(0, EVENTS_PER_ROUND).boxed().flatMap(this::reviewAndOrder));
    }

    private Stream<ProducerRecord<String, String>> reviewAndOrder(int number) {
        List<String> said = Stream.generate(() -> WORDS.get(random.nextInt(WORDS.size()))).limit(4).toList();
        said.forEach(word -> words.merge(word, 1L, Long::sum));
        int user = random.nextInt(100);
        long amount = 1 + random.nextInt(1_000);
        revenue.merge(countryOf(user), amount, Long::sum);
        return Stream.of(
                new ProducerRecord<>(ShopTopology.REVIEWS, "r" + number, String.join(" ", said)),
                new ProducerRecord<>(ShopTopology.ORDERS, "o" + number, "u" + user + " " + amount));
    }

    private static String countryOf(int user) {
        return COUNTRIES.get(user % COUNTRIES.size());
    }

    private void write(Stream<ProducerRecord<String, String>> records) {
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, broker.bootstrapServers());
        settings.put(ProducerConfig.LINGER_MS_CONFIG, 5);
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            records.forEach(producer::send);
        }
    }

    private void waitForSomeOutput() throws InterruptedException {
        long before = total(latest(ShopTopology.WORD_COUNTS));
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (total(latest(ShopTopology.WORD_COUNTS)) <= before && System.nanoTime() < deadline) {
            Thread.sleep(100);
        }
    }

    private static long total(Map<String, Long> counts) {
        return counts.values().stream().mapToLong(Long::longValue).sum();
    }

    /** The latest value of each key, read again until it is what is expected or patience ends. */
    private Map<String, Long> settled(String topic, Map<String, Long> expected) throws InterruptedException {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        Map<String, Long> found = latest(topic);
        while (!found.equals(expected) && System.nanoTime() < deadline) {
            Thread.sleep(500);
            found = latest(topic);
        }
        return found;
    }

    /** What a reader of committed records sees as the latest value of each key. */
    private Map<String, Long> latest(String topic) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, broker.bootstrapServers());
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        try (KafkaConsumer<String, Long> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new LongDeserializer())) {
            Set<TopicPartition> partitions = IntStream.range(0, PARTITIONS)
                    .mapToObj(index -> new TopicPartition(topic, index))
                    .collect(Collectors.toSet());
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Map<String, Long> found = new HashMap<>();
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(200))) {
                    found.put(record.key(), record.value());
                }
            }
            return new TreeMap<>(found);
        }
    }
}
