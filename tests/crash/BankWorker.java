// The Java client's worker of the bank (see bank_workers.py): it books each transfer once, as a member of a group.
//
// java BankWorker BOOTSTRAP NUMBER      (the process is there to be killed)
//
// As KafkaProducer's documentation has it: a commit that timed out is asked for again; what else a transaction dies of, it
// is aborted for, and the consumer goes back to the committed offsets; what only a new producer is cured of (fencing above
// all) ends the process, and so does an abort that fails. Whoever hired the worker hires another.

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApplicationRecoverableException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class BankWorker {
    static final String TRANSFERS = "transfers";
    static final String LEDGER = "ledger";
    static final String GROUP = "bank-of-java";
    static final int SESSION_MS = 2_000;
    static final int TRANSACTION_MS = 5_000;
    static final int CALL_MS = 5_000;
    static final int BATCH = 20;
    static final int ATTEMPTS = 5;

    public static void main(String[] arguments) {
        String bootstrap = arguments[0];
        String number = arguments[1];
        try (KafkaProducer<String, String> producer = producer(bootstrap, number);
                KafkaConsumer<String, String> consumer = consumer(bootstrap)) {
            againAfterTimeouts(producer::initTransactions);
            consumer.subscribe(List.of(TRANSFERS));
            while (true) bookOneBatch(producer, consumer);
        }
    }

    static KafkaProducer<String, String> producer(String bootstrap, String number) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("transactional.id", "java-" + number);
        settings.put("transaction.timeout.ms", TRANSACTION_MS);
        settings.put("max.block.ms", CALL_MS);
        settings.put("request.timeout.ms", CALL_MS);
        settings.put("delivery.timeout.ms", 2 * CALL_MS);
        return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String bootstrap) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("group.id", GROUP);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", false);
        settings.put("isolation.level", "read_committed");
        settings.put("session.timeout.ms", SESSION_MS);
        settings.put("heartbeat.interval.ms", SESSION_MS / 4);
        settings.put("max.poll.records", BATCH);
        settings.put("request.timeout.ms", CALL_MS);
        settings.put("default.api.timeout.ms", 2 * CALL_MS);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    static void bookOneBatch(KafkaProducer<String, String> producer, KafkaConsumer<String, String> consumer) {
        ConsumerRecords<String, String> transfers = consumer.poll(Duration.ofMillis(500));
        if (transfers.isEmpty()) return;
        try {
            producer.beginTransaction();
            for (ConsumerRecord<String, String> transfer : transfers) sendBothSides(producer, transfer.value());
            producer.sendOffsetsToTransaction(transfers.nextOffsets(), consumer.groupMetadata());
            againAfterTimeouts(producer::commitTransaction);
        } catch (ApplicationRecoverableException | OutOfOrderSequenceException | AuthorizationException fatal) {
            throw fatal;
        } catch (KafkaException abortable) {
            againAfterTimeouts(producer::abortTransaction);
            goBackToCommitted(consumer);
        }
    }

    // Both sides of a transfer `id,from,to,amount`, by account.
    static void sendBothSides(KafkaProducer<String, String> producer, String transfer) {
        String[] words = transfer.split(",");
        producer.send(new ProducerRecord<>(LEDGER, words[1], words[0] + "," + words[1] + ",-" + words[3]));
        producer.send(new ProducerRecord<>(LEDGER, words[2], words[0] + "," + words[2] + "," + words[3]));
    }

    static void goBackToCommitted(KafkaConsumer<String, String> consumer) {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
        committed.forEach((partition, position) -> consumer.seek(partition, position == null ? 0 : position.offset()));
    }

    // Init, commit and abort may be called again when they timed out, and nothing else may be called before they are through.
    static void againAfterTimeouts(Runnable call) {
        for (int left = ATTEMPTS; ; left--) {
            try {
                call.run();
                return;
            } catch (TimeoutException late) {
                if (left == 1) throw new IllegalStateException("timed out " + ATTEMPTS + " times", late);
            }
        }
    }
}
