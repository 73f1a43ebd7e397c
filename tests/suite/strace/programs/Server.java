import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** What a client sends comes back. Usage: java Server.java PORT. SIGTERM ends it. */
class Server {
    public static void main(String[] args) throws IOException {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try (ServerSocket listener = new ServerSocket(Integer.parseInt(args[0]), 50, InetAddress.getByName("127.0.0.1"))) {
            while (true) {
                Socket connection = listener.accept();
                threads.execute(() -> answer(connection));
            }
        }
    }

    private static void answer(Socket connection) {
        try (connection) {
            byte[] line = new byte[100];
            int length = connection.getInputStream().read(line);
            if (length > 0) {
                connection.getOutputStream().write(line, 0, length);
            }
        } catch (IOException error) {
            System.err.println(error);
        }
    }
}
