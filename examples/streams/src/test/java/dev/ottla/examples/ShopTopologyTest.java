package dev.ottla.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Map;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The topology alone, without a broker. */
class ShopTopologyTest {
    @TempDir
    Path stateDirectory;

    private TopologyTestDriver driver;

    @BeforeEach
    void startDriver() {
        driver = new TopologyTestDriver(
                ShopTopology.build(), ShopApplication.settings("127.0.0.1:9", stateDirectory.toString()));
    }

    @AfterEach
    void closeDriver() {
        driver.close();
    }

    @Test
    void wordsAreCountedWhateverTheirCase() {
        input(ShopTopology.REVIEWS).pipeInput("r1", "Good book, good price");
        input(ShopTopology.REVIEWS).pipeInput("r2", "a GOOD shop");

        assertEquals(
                Map.of("good", 3L, "book", 1L, "price", 1L, "a", 1L, "shop", 1L),
                output(ShopTopology.WORD_COUNTS).readKeyValuesToMap());
    }

    @Test
    void revenueIsSummedByTheCountryThatAUserHadWhenOrdering() {
        input(ShopTopology.USERS).pipeInput("milena", "CZ");
        input(ShopTopology.ORDERS).pipeInput("o1", "milena 10");
        input(ShopTopology.USERS).pipeInput("milena", "AT");
        input(ShopTopology.ORDERS).pipeInput("o2", "milena 5");
        input(ShopTopology.ORDERS).pipeInput("o3", "nobody 1");

        assertEquals(
                Map.of("CZ", 10L, "AT", 5L, ShopTopology.UNKNOWN_COUNTRY, 1L),
                output(ShopTopology.REVENUE).readKeyValuesToMap());
    }

    private TestInputTopic<String, String> input(String topic) {
        return driver.createInputTopic(topic, new StringSerializer(), new StringSerializer());
    }

    private TestOutputTopic<String, Long> output(String topic) {
        return driver.createOutputTopic(topic, new StringDeserializer(), new LongDeserializer());
    }
}
