# The agent and nothing else: no shell, no C library, no root. The binary is built outside, statically:
#   cargo build --release
#   docker build --build-arg BINARY=target/x86_64-unknown-linux-gnu/release/sidewatch --tag sidewatch:0.1.0 .
FROM scratch
ARG BINARY=target/x86_64-unknown-linux-gnu/release/sidewatch

COPY ${BINARY} /sidewatch
COPY alerts/*.yml /etc/sidewatch/alerts/
# Nothing here can run mkdir: an empty folder of the checkout becomes the data folder, and belongs to the image's user.
COPY --chown=65532:65532 config/empty/ /var/lib/sidewatch/

# By number, so that `runAsNonRoot` can see it; 65532 is what distroless images call nonroot.
USER 65532:65532
ENV SIDEWATCH_DATA=/var/lib/sidewatch
WORKDIR /var/lib/sidewatch
VOLUME ["/var/lib/sidewatch"]

# The agent; the gateway for LLM calls; OTLP.
EXPOSE 9640 9641 4318
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/sidewatch", "health"]
ENTRYPOINT ["/sidewatch"]
CMD ["run"]
