// Runs Apache Kafka's command-line tools one after the other in one Java machine: starting one costs more than most tools do.
//
// A line of standard input is a command: what the tool reads as its input, its class and its arguments, in base64, with spaces
// between. The answer is a line `exit-code output-bytes error-bytes`, then that many bytes of each. Tools end by Kafka's own
// Exit, which is made to throw here; what a tool does after it has ended (some catch everything around their whole work)
// changes no exit code. Then its shutdown hooks run: the console producer sends what it still holds in one.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

public class ToolRunner {
    static class Ended extends Error {}

    static Integer status;
    static List<Runnable> hooks = new ArrayList<>();

    public static void main(String[] none) throws Exception {
        Exit.setExitProcedure(ToolRunner::end);
        Exit.setHaltProcedure(ToolRunner::end);
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        PrintStream answers = System.out;
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = Arrays.stream(line.split(" ", -1)).map(ToolRunner::decoded).toArray(String[]::new);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
            System.setIn(new ByteArrayInputStream(words[0].getBytes(StandardCharsets.UTF_8)));
            int code = run(words[1], Arrays.copyOfRange(words, 2, words.length));
            hooks.forEach(Runnable::run);
            hooks.clear();
            System.out.flush();
            System.err.flush();
            answers.printf("%d %d %d%n", code, out.size(), err.size());
            out.writeTo(answers);
            err.writeTo(answers);
            answers.flush();
        }
    }

    static String decoded(String word) {
        return new String(Base64.getDecoder().decode(word), StandardCharsets.UTF_8);
    }

    static void end(int code, String message) {
        if (status == null) status = code;
        throw new Ended();
    }

    static int run(String tool, String[] arguments) {
        status = null;
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Ended)) {
                thrown.getCause().printStackTrace();
                if (status == null) status = 1;
            }
        } catch (ReflectiveOperationException missing) {
            missing.printStackTrace();
            status = 1;
        }
        return status == null ? 0 : status;
    }
}
