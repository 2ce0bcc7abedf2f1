import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { undelivered, unlessAborted } from '../../shared/broker.ts';
import { type Connection, connection } from '../../shared/connection.ts';
import { nullable } from '../../shared/fields.ts';
import { connectRabbit, isRabbitAway, messageProperties, PROPERTIES, type Rabbit } from '../../shared/rabbit.ts';

/** Success means that the server has confirmed the message; whether a queue takes it is the exchange's to decide. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.rabbitmq.TbRabbitMqNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'rabbitmq',
  summary: 'Publishes the message data to an exchange of RabbitMQ.',
  relations: ['Success'],
  effect: true,
  config: Config({
    exchangeNamePattern: nullable(Type.String(), { title: 'Exchange', description: 'Pattern; empty: the default exchange.' }),
    routingKeyPattern: nullable(Type.String(), { title: 'Routing key', description: 'Pattern; with the default exchange the name of a queue.' }),
    messageProperties: nullable(Type.String(), {
      title: 'Message properties',
      description: 'Content type, priority and whether the message outlives a restart of the server.',
      examples: Object.keys(PROPERTIES),
    }),
    host: nullable(Type.String(), { title: 'Host', description: 'Empty: this machine.' }),
    port: Type.Integer({ title: 'Port', description: 'Of AMQP 0-9-1.' }),
    virtualHost: nullable(Type.String(), { title: 'Virtual host', description: 'Empty: /.' }),
    username: nullable(Type.String(), { title: 'User', description: 'Of the server.' }),
    password: nullable(Type.String(), { title: 'Password', description: 'Kept in the chain, and in what is exported of it.', secret: true }),
    automaticRecoveryEnabled: Type.Boolean({
      title: 'Reconnect',
      description: 'Kept for old files: a connection that is lost is always opened again.',
      advanced: true,
    }),
    connectionTimeout: Type.Integer({ title: 'Connect timeout', description: '0: the default.', unit: 'ms', advanced: true }),
    handshakeTimeout: Type.Integer({ title: 'Handshake timeout', description: '0: the default.', unit: 'ms', advanced: true }),
    clientProperties: nullable(Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])), {
      title: 'Client properties',
      description: 'What the server shows of this connection.',
    }),
  }),
  defaults: {
    exchangeNamePattern: '',
    routingKeyPattern: '',
    messageProperties: null,
    host: null,
    port: 5672,
    virtualHost: '/',
    username: 'guest',
    password: 'guest',
    automaticRecoveryEnabled: false,
    connectionTimeout: 60000,
    handshakeTimeout: 10000,
    clientProperties: {},
  },
  start: ({ config, node }): Connection<Rabbit> =>
    connection(
      () => connectRabbit(config, node.name),
      (rabbit) => rabbit.connection.unsafeDestroy(),
    ),
  stop: (rabbit) => rabbit.stop(),
  async send(message, { config, state, signal }) {
    const exchange = fillPattern(config.exchangeNamePattern ?? '', message);
    const routingKey = fillPattern(config.routingKeyPattern ?? '', message);
    try {
      const envelope = { ...messageProperties(config.messageProperties), exchange, routingKey };
      const { publisher } = await state.use(signal);
      await unlessAborted(publisher.send(envelope, Buffer.from(message.data)), signal);
      return 'Success';
    } catch (cause) {
      return undelivered(message, cause, isRabbitAway(cause));
    }
  },
  preview: (message, config) => ({
    exchange: fillPattern(config.exchangeNamePattern ?? '', message),
    routingKey: fillPattern(config.routingKeyPattern ?? '', message),
    payload: message.data,
  }),
});
