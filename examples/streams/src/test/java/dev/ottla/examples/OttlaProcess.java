package dev.ottla.examples;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A broker for a test: {@code ottla serve} at a port that is free, killed and started again at the same port.
 *
 * <p>The command is the system property {@code ottla.command} (words separated by blanks), else {@code ottla}.
 */
final class OttlaProcess implements AutoCloseable {
    private static final Pattern LISTENS = Pattern.compile("listens on PLAINTEXT://127\\.0\\.0\\.1:(\\d+)");
    private static final long START_TIMEOUT_S = 60;
    private static final long POLL_MS = 20;

    private final Path folder;
    private int port;
    private Process process;

    OttlaProcess(Path folder) throws IOException, InterruptedException {
        this.folder = folder;
        start();
    }

    String bootstrapServers() {
        return "127.0.0.1:" + port;
    }

    /** Returns when it listens. */
    void start() throws IOException, InterruptedException {
        Path output = Files.createTempFile(folder, "broker", ".log");
        List<String> command = new ArrayList<>(List.of(System.getProperty("ottla.command", "ottla").split(" ")));
        command.addAll(List.of("serve", "--port", Integer.toString(port), "--set", "log.dirs=" + folder.resolve("data")));
        process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_TIMEOUT_S);
        Matcher listens = LISTENS.matcher("");
        while (!listens.find()) {
            if (!process.isAlive() || System.nanoTime() > deadline) {
                throw new IllegalStateException("the broker does not listen:\n" + Files.readString(output));
            }
            Thread.sleep(POLL_MS);
            listens.reset(Files.readString(output));
        }
        port = Integer.parseInt(listens.group(1));
    }

    /** SIGKILL. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    @Override
    public void close() throws Exception {
        process.destroy();
        if (!process.waitFor(30, TimeUnit.SECONDS)) {
            kill();
        }
    }
}
