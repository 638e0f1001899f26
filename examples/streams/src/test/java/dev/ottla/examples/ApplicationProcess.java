package dev.ottla.examples;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** The application in a JVM of its own, so that it can be killed as a machine would kill it. */
final class ApplicationProcess implements AutoCloseable {
    private final Process process;

    ApplicationProcess(String bootstrapServers, Path folder) throws IOException {
        Path java = Path.of(System.getProperty("java.home"), "bin", "java");
        String[] command = {
            java.toString(), "-Djava.io.tmpdir=" + folder, // what a kill leaves goes with the folder
            "-cp", System.getProperty("java.class.path"), ShopApplication.class.getName(),
            bootstrapServers, folder.resolve("state").toString()
        };
        process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(Files.createTempFile(folder, "application", ".log").toFile())
                .start();
    }

    /** SIGKILL: no goodbye to the group, an open transaction left behind. */
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
