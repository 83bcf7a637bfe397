import type { Telemetry } from 'bullmq'

export interface Tracing {
  /** For every queue and worker: carries the trace of whoever sends a job into the worker that runs it. */
  readonly telemetry: Telemetry
  /** Sends what is still waiting, and leaves nothing of itself behind. */
  stop(): Promise<void>
}

/** Traces to an OTLP endpoint. The packages are loaded only where one is configured. */
export async function startTracing(options: { endpoint: string; service: string; version: string }): Promise<Tracing> {
  const [
    { context, propagation, trace },
    { AsyncLocalStorageContextManager },
    { W3CTraceContextPropagator },
    { OTLPTraceExporter },
    resources,
    sdk,
    { BullMQOtel },
  ] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/core'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace'),
    import('bullmq-otel'),
  ])
  const provider = new sdk.TracerProvider({
    resource: resources.resourceFromAttributes({ 'service.name': options.service, 'service.version': options.version }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: `${options.endpoint.replace(/\/$/, '')}/v1/traces` }),
      }),
    ],
  })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  return {
    telemetry: new BullMQOtel({ tracerName: options.service, version: options.version }) as unknown as Telemetry,
    async stop() {
      await provider.shutdown()
      trace.disable()
      propagation.disable()
      context.disable()
    },
  }
}
