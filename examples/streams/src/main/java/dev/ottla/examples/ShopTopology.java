package dev.ottla.examples;

import java.util.Arrays;
import java.util.Locale;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Two small computations with state.
 *
 * <pre>
 *   reviews (any text)            split into words, counted                      word-counts (word, how often)
 *   orders  (order id, "user amount")  by user, joined with users (user, country)     revenue (country, sum of amounts)
 * </pre>
 *
 * Both regroup by another key, so Streams makes a repartition topic for each, and keep a state store with its
 * changelog topic.
 */
final class ShopTopology {
    static final String REVIEWS = "reviews";
    static final String WORD_COUNTS = "word-counts";
    static final String ORDERS = "orders";
    static final String USERS = "users";
    static final String REVENUE = "revenue";
    static final String UNKNOWN_COUNTRY = "?";

    private static final Serde<String> TEXT = Serdes.String();
    private static final Serde<Long> NUMBER = Serdes.Long();

    private ShopTopology() {}

    static Topology build() {
        StreamsBuilder builder = new StreamsBuilder();
        countWords(builder);
        sumRevenue(builder);
        return builder.build();
    }

    private static void countWords(StreamsBuilder builder) {
        builder.stream(REVIEWS, Consumed.with(TEXT, TEXT))
                .flatMapValues(text -> Arrays.asList(text.toLowerCase(Locale.ROOT).split("\\W+")))
                .filter((key, word) -> !word.isEmpty())
                .groupBy((key, word) -> word, Grouped.with("words", TEXT, TEXT))
                .count(Materialized.as("word-counts-store"))
                .toStream()
                .to(WORD_COUNTS, Produced.with(TEXT, NUMBER));
    }

    private static void sumRevenue(StreamsBuilder builder) {
        KTable<String, String> users = builder.table(USERS, Consumed.with(TEXT, TEXT), Materialized.as("users-store"));
        KStream<String, Long> amountsByUser = builder.stream(ORDERS, Consumed.with(TEXT, TEXT))
                .map((orderId, order) -> {
                    String[] userAndAmount = order.split(" ");
                    return KeyValue.pair(userAndAmount[0], Long.parseLong(userAndAmount[1]));
                });
        amountsByUser
                .leftJoin(users, Amount::from, Joined.with(TEXT, NUMBER, TEXT, "by-user"))
                .map((user, amount) -> KeyValue.pair(amount.country(), amount.amount()))
                .groupByKey(Grouped.with("by-country", TEXT, NUMBER))
                .reduce(Long::sum, Materialized.as("revenue-store"))
                .toStream()
                .to(REVENUE, Produced.with(TEXT, NUMBER));
    }

    private record Amount(String country, long amount) {
        static Amount from(Long amount, String country) {
            return new Amount(country == null ? UNKNOWN_COUNTRY : country, amount);
        }
    }
}
