package omni.p2p.testservices;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.opensearch.Version;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.transport.TransportAddress;
import org.opensearch.env.Environment;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;
import org.opensearch.transport.Netty4ModulePlugin;

/**
 * Starts one real OpenSearch node for tests: {@code OpenSearchTestNode HOME DATA PORT [setting=value ...]}.
 *
 * <p>It prints one line of JSON on stdout, {@code {"url": "...", "version": "..."}}, once it serves HTTP, and exits
 * when its stdin closes: a parent that dies in whatever way takes the node with it.
 */
public final class OpenSearchTestNode {
  private OpenSearchTestNode() {}

  public static void main(String[] args) throws Exception {
    if (args.length < 3) {
      System.err.println("usage: OpenSearchTestNode HOME DATA PORT [setting=value ...]");
      System.exit(2);
    }
    Path home = Path.of(args[0]);
    Path data = Path.of(args[1]);

    Settings.Builder settings = Settings.builder()
        .put("cluster.name", "omni-p2p-tests")
        .put("node.name", "omni-p2p-test-node")
        .put("path.home", home)
        .put("path.data", data)
        .put("path.logs", data.resolve("logs"))
        .put("discovery.type", "single-node")
        .put("http.host", "127.0.0.1")
        .put("http.port", args[2])
        .put("transport.host", "127.0.0.1")
        .put("transport.port", "0")
        .put("http.type", "netty4")
        .put("transport.type", "netty4")
        // A developer's disk that is 95 % full must not turn every index read-only.
        .put("cluster.routing.allocation.disk.threshold_enabled", false);
    for (int i = 3; i < args.length; i++) {
      int equals = args[i].indexOf('=');
      if (equals < 1) {
        System.err.println("not setting=value: " + args[i]);
        System.exit(2);
      }
      settings.put(args[i].substring(0, equals), args[i].substring(equals + 1));
    }

    LogConfigurator.registerErrorListener();
    Environment environment =
        InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), data.resolve("config"), () -> "node");

    Node node = newNode(environment);
    CountDownLatch stopping = new CountDownLatch(1);
    CountDownLatch closed = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      stopping.countDown();
      try {
        closed.await(10, TimeUnit.SECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }));

    try {
      node.start();
      Thread lifeLine = new Thread(() -> {
        drain(System.in);
        stopping.countDown();
      }, "life-line");
      lifeLine.setDaemon(true);
      lifeLine.start();

      System.out.println("{\"url\":\"" + httpUrl(node) + "\",\"version\":\"" + Version.CURRENT + "\"}");
      System.out.flush();
      stopping.await();
    } finally {
      node.close();
      node.awaitClose(8, TimeUnit.SECONDS);
      closed.countDown();
    }
    System.exit(0);
  }

  /** The constructor that takes plug-ins from the class path is for subclasses alone. */
  private static final class ClassPathNode extends Node {
    ClassPathNode(Environment environment, PluginInfo plugin) {
      super(environment, List.of(plugin), true);
    }
  }

  private static Node newNode(Environment environment) {
    String name = Netty4ModulePlugin.class.getName();
    return new ClassPathNode(
        environment, new PluginInfo(name, "from the class path", "none", Version.CURRENT, "21", name, null, List.of(), false));
  }

  private static String httpUrl(Node node) {
    TransportAddress bound = node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress();
    return "http://" + bound.getAddress() + ":" + bound.getPort();
  }

  /** Reads until the other end closes the pipe or is gone. */
  private static void drain(InputStream in) {
    byte[] buffer = new byte[256];
    try {
      while (in.read(buffer) >= 0) {
        // Nothing is ever sent; only the end matters.
      }
    } catch (IOException e) {
      // A broken pipe is an end as well.
    }
  }
}
