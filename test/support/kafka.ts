import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ServerProcess, startServer } from './server-process.ts';
import { freePort, program, temporaryFolder } from './servers.ts';

export interface KafkaServer extends ServerProcess {
  /** `host:port` */
  readonly bootstrap: string;
}

export interface KafkaOptions {
  /** Of the clients' listener, for example `SASL_PLAINTEXT`. Default `PLAINTEXT`. */
  readonly protocol?: string;
  /** Further lines of its configuration. */
  readonly conf?: readonly string[];
}

/** Apache Kafka itself: one node that is broker and controller, on loopback. */
export async function startKafka({ protocol = 'PLAINTEXT', conf = [] }: KafkaOptions = {}): Promise<KafkaServer> {
  const java = program('kafka-java');
  const port = await freePort();
  const controller = await freePort();
  const folder = temporaryFolder('kafka');
  const file = join(folder, 'server.properties');
  const lines = [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controller}`,
    `listeners=${protocol}://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    `listener.security.protocol.map=${protocol}:${protocol},CONTROLLER:PLAINTEXT`,
    `inter.broker.listener.name=${protocol}`,
    'controller.listener.names=CONTROLLER',
    `log.dirs=${join(folder, 'log')}`,
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    'broker.heartbeat.interval.ms=500',
    'broker.session.timeout.ms=2000',
    ...conf,
  ];
  writeFileSync(file, lines.join('\n') + '\n');
  execFileSync(java, ['kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', file], { stdio: 'ignore' });
  const server = await startServer({ name: 'kafka', file: java, args: ['kafka.Kafka', file], port, folder, readyMs: 60_000 });
  return Object.assign(server, { bootstrap: `127.0.0.1:${port}` });
}
