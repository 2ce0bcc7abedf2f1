import { Type } from 'typebox';
import { Double, isJsonObject, type Json, parseJson, plainText, printJson } from '#engine/json.ts';
import { type Message, withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';

const template = (title: string, description: string) => nullable(Type.String(), { title, description });

/** Only makes the e-mail; "send email" behind it sends it. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.mail.TbMsgToEmailNode',
  version: 0,
  family: 'TRANSFORMATION',
  label: 'to email',
  summary: 'Makes an e-mail of the message.',
  relations: ['Success'],
  config: Config({
    fromTemplate: template('From', 'Pattern of the address that it comes from.'),
    toTemplate: template('To', 'Pattern of the addresses, separated by commas.'),
    ccTemplate: template('Cc', 'Pattern of the addresses that get a copy.'),
    bccTemplate: template('Bcc', 'Pattern of the addresses that get a hidden copy.'),
    subjectTemplate: template('Subject', 'Pattern of the subject.'),
    bodyTemplate: template('Body', 'Pattern of the text.'),
    isHtmlTemplate: template('Is HTML', 'Pattern that gives true or false, where the type of the body is dynamic.'),
    mailBodyType: nullable(Type.String(), {
      title: 'Type of the body',
      description: 'false: plain text; true: HTML; dynamic: as the pattern says.',
      examples: ['false', 'true', 'dynamic'],
    }),
  }),
  defaults: {
    fromTemplate: 'info@testmail.org',
    toTemplate: `\${userEmail}`,
    ccTemplate: null,
    bccTemplate: null,
    subjectTemplate: `Device \${deviceType} temperature high`,
    bodyTemplate: `Device \${deviceName} has high temperature $[temperature]`,
    isHtmlTemplate: null,
    mailBodyType: 'false',
  },
  process(message, { config }) {
    const filled = (pattern: string | null): string | null => (pattern ? fillPattern(pattern, message) : null);
    const html = config.mailBodyType === 'dynamic' ? filled(config.isHtmlTemplate) : config.mailBodyType;
    const data = printJson({
      from: filled(config.fromTemplate),
      to: filled(config.toTemplate),
      cc: filled(config.ccTemplate),
      bcc: filled(config.bccTemplate),
      subject: filled(config.subjectTemplate),
      body: filled(config.bodyTemplate),
      images: imagesOf(message),
      html: html?.toLowerCase() === 'true',
    });
    return { to: 'Success', message: withChanges(message, { type: 'SEND_EMAIL', data }) };
  },
});

/** Metadata `images`: a JSON map of content id to content. */
function imagesOf({ metadata: { images: text } }: Message): Json {
  if (!text) return null;
  const refused = (cause?: unknown) => new Error(`The given string value cannot be transformed to Json object: ${text.slice(0, 1000)}`, { cause });
  let images: Json;
  try {
    images = parseJson(text);
  } catch (cause) {
    throw refused(cause);
  }
  if (images === null) return null;
  if (!isJsonObject(images)) throw refused();
  const entries = Object.entries(images).map(([id, content]): [string, Json] => {
    if (Array.isArray(content) || isJsonObject(content)) throw refused();
    return [id, content === null ? null : content instanceof Double ? (content.text ?? plainText(content)) : plainText(content)];
  });
  return Object.fromEntries(entries);
}
