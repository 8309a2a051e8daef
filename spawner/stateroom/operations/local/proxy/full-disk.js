// The proxy serves on when its log cannot be written, as on a full disk: what it would have logged is lost.
for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream);
  stream.write = (...what) => {
    try {
      return write(...what);
    } catch {
      return true;
    }
  };
  stream.on("error", () => {});
}
