package omni.p2p.testservices;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.BsonJavaScript;
import de.bwaldvogel.mongo.bson.BsonTimestamp;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.oplog.CollectionBackedOplog;
import de.bwaldvogel.mongo.oplog.Oplog;
import de.bwaldvogel.mongo.oplog.OplogPosition;
import io.netty.channel.Channel;

/**
 * Starts mongo-java-server, a server in memory that speaks MongoDB's protocol and has change streams, with what drivers and
 * followers need besides: {@code ChangeStreamTestServer PORT [standalone]}.
 *
 * <p>It prints one line of JSON on stdout, {@code {"url": "...", "version": "..."}}, and exits when its stdin closes.
 */
public final class ChangeStreamTestServer {
  private ChangeStreamTestServer() {}

  public static void main(String[] args) throws IOException {
    boolean standalone = args.length > 1 && args[1].equals("standalone");
    Backend backend = new Backend(standalone);
    backend.version(new CurrentVersion());
    MongoServer server = new MongoServer(backend);
    if (!standalone) server.enableOplog();
    server.bind(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])));
    int port = server.getLocalAddress().getPort();
    System.out.println("{\"url\": \"mongodb://127.0.0.1:" + port + "\", \"version\": \"1.47.0\"}");
    System.out.flush();
    while (System.in.read() != -1) {
      // It is not spoken to; what counts is that the pipe stays open.
    }
    server.shutdownNow();
    System.exit(0);
  }

  /** A version that current drivers accept: the largest one of the library is too old for them. */
  private static final class CurrentVersion implements MongoVersion {
    @Override
    public List<Integer> getVersionArray() {
      return List.of(6, 0, 0);
    }

    @Override
    public int getWireVersion() {
      return 17;
    }
  }

  private static final class Backend extends MemoryBackend {
    /** Types that BSON has and the library does not: undefined, DBPointer, code, symbol, code with scope. */
    private static final Set<Integer> UNKNOWN_TYPES = Set.of(6, 12, 13, 14, 15);

    private final boolean standalone;
    /** Error codes by the command that is to fail with them, once. */
    private final Map<String, Integer> failures = new ConcurrentHashMap<>();
    private MongoCollection<Document> oplogCollection;

    Backend(boolean standalone) {
      this.standalone = standalone;
    }

    @Override
    @SuppressWarnings("unchecked")
    protected Oplog createOplog() {
      super.createOplog();
      oplogCollection = (MongoCollection<Document>) resolveDatabase("local").resolveCollection("oplog.rs", true);
      return new CorrectedOplog(this, oplogCollection, getCursorRegistry());
    }

    @Override
    public Document handleCommand(Channel channel, String database, String command, Document query) {
      if (command.equals("hello")) return hello();
      if (command.equals("configureFailPoint")) return failOnce((Document) query.get("data"));
      boolean stream = isChangeStream(query);
      Integer failure = stream || command.equals("getMore") ? failures.remove(command) : null;
      if (failure != null) throw new MongoServerError(failure, "TestFailure", "failed by a fail point");
      if (stream && standalone) {
        throw new MongoServerError(
            40573, "Location40573", "The $changeStream stage is only supported on replica sets");
      }
      withoutUnknown(query.get("filter"));
      // What is there before the answer is made is in the answer or before it.
      Document token = oplogCollection == null ? null : lastToken();
      Document response = super.handleCommand(channel, database, command, query);
      if (command.equals("listCollections")) keepNamed(response, query.get("filter"));
      if (token != null && response.get("cursor") instanceof Document) {
        addPostBatchResumeToken((Document) response.get("cursor"), token);
      }
      return response;
    }

    /** The library fails at code in a list of values, and at types that it does not know; it keeps none of either. */
    private static void withoutUnknown(Object part) {
      if (part instanceof Document) {
        Object types = ((Document) part).get("$type");
        if (types instanceof Collection) {
          ((Collection<?>) types).removeIf(type -> UNKNOWN_TYPES.contains(((Number) type).intValue()));
        }
        for (Object value : ((Document) part).values()) withoutUnknown(value);
      } else if (part instanceof Collection) {
        ((Collection<?>) part).removeIf(value -> value instanceof BsonJavaScript);
        for (Object value : (Collection<?>) part) withoutUnknown(value);
      }
    }

    /** The library lists all collections, whichever was asked for. */
    private static void keepNamed(Document response, Object filter) {
      Object name = filter instanceof Document ? ((Document) filter).get("name") : null;
      if (!(name instanceof String)) return;
      Document cursor = (Document) response.get("cursor");
      List<Object> named = new ArrayList<>();
      for (Object each : (Collection<?>) cursor.get("firstBatch")) {
        if (name.equals(((Document) each).get("name"))) named.add(each);
      }
      cursor.put("firstBatch", named);
    }

    private Document hello() {
      Document hello = new Document("isWritablePrimary", true)
          .append("maxBsonObjectSize", 16 * 1024 * 1024)
          .append("maxWireVersion", 17)
          .append("minWireVersion", 0);
      if (!standalone) hello.append("setName", "rs0");
      return hello.append("ok", 1);
    }

    private Document failOnce(Document data) {
      for (Object command : (Collection<?>) data.get("failCommands")) {
        failures.put((String) command, ((Number) data.get("errorCode")).intValue());
      }
      return new Document("ok", 1);
    }

    private static boolean isChangeStream(Document query) {
      if (!(query.get("pipeline") instanceof Collection)) return false;
      return ((Collection<?>) query.get("pipeline"))
          .stream()
          .anyMatch(stage -> ((Document) stage).containsKey("$changeStream"));
    }

    /** The token of the last entry of the oplog. */
    private Document lastToken() {
      BsonTimestamp last = new BsonTimestamp(1L << 32);
      for (Document entry : oplogCollection.queryAllAsStream().toList()) {
        BsonTimestamp time = (BsonTimestamp) entry.get("ts");
        if (time.compareTo(last) > 0) last = time;
      }
      return new Document("_data", new OplogPosition(last).toHexString());
    }

    /** A server with a replica set tells with each batch where to go on, also when there was nothing to tell. */
    private static void addPostBatchResumeToken(Document cursor, Document token) {
      Object batch = cursor.containsKey("firstBatch") ? cursor.get("firstBatch") : cursor.get("nextBatch");
      Document last = null;
      if (batch instanceof Collection) for (Object event : (Collection<?>) batch) last = (Document) event;
      Object own = last == null ? token : last.get("_id");
      if (own instanceof Document && ((Document) own).containsKey("_data")) cursor.append("postBatchResumeToken", own);
    }
  }

  /** The library's oplog keeps the operators of an update where the key of the document belongs. */
  private static final class CorrectedOplog extends CollectionBackedOplog {
    CorrectedOplog(
        Backend backend,
        MongoCollection<Document> collection,
        de.bwaldvogel.mongo.backend.CursorRegistry cursors) {
      super(backend, collection, cursors);
    }

    @Override
    public void handleUpdate(String namespace, Document selector, Document query, List<Object> modifiedIds) {
      for (Object id : modifiedIds) {
        super.handleUpdate(namespace, selector, new Document("_id", id), new ArrayList<>(List.of(id)));
      }
    }
  }
}
