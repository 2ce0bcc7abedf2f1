import type { FastifyInstance } from 'fastify';

/**
 * Strict clients tell whole numbers from doubles by their text: `0.0`. JavaScript prints both alike, so keys that are doubles in ThingsBoard's model get
 * their fraction in this plugin's answers.
 */
export function doubles(app: FastifyInstance, keys: readonly string[]): void {
  const whole = new RegExp(`("(?:${keys.join('|')})":-?\\d+)(?=[,}])`, 'g');
  app.addHook('onSend', async (_request, _reply, payload) => (typeof payload === 'string' ? payload.replace(whole, '$1.0') : payload));
}
