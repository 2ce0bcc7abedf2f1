import { settingsKey } from '#engine/services/settings.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';

/** Rules of passwords and logins (specs: rest-api §1.5). */

export const PASSWORD_POLICY = Object.freeze({
  minimumLength: 6,
  maximumLength: 72,
  minimumUppercaseLetters: null,
  minimumLowercaseLetters: null,
  minimumDigits: null,
  minimumSpecialCharacters: null,
  allowWhitespaces: true,
  forceUserToResetPasswordIfNotValid: false,
  passwordExpirationPeriodDays: null,
  passwordReuseFrequencyDays: null,
});

export const SECURITY_SETTINGS = Object.freeze({
  passwordPolicy: PASSWORD_POLICY,
  maxFailedLoginAttempts: null,
  userLockoutNotificationEmail: null,
  mobileSecretKeyLength: 64,
  userActivationTokenTtl: 24,
  passwordResetTokenTtl: 24,
});

/** @throws HttpError 400 */
export function checkPassword(password: string | undefined): void {
  if (password === undefined) throw badRequest('Password cannot be null');
  const { minimumLength, maximumLength } = PASSWORD_POLICY;
  if (password.length < minimumLength) throw badRequest(`Password must be ${minimumLength} or more characters in length.`);
  if (password.length > maximumLength) throw badRequest(`Password must be no more than ${maximumLength} characters in length.`);
}

/** Failed logins that an account bears; null: any number. */
export async function lockedAfter({ backend }: ApiContext): Promise<number | null> {
  const settings = await backend.store.docByKey('ADMIN_SETTINGS', settingsKey('securitySettings'));
  const most = (settings?.body['jsonValue'] as { maxFailedLoginAttempts?: number | null } | undefined)?.maxFailedLoginAttempts;
  return typeof most === 'number' && most > 0 ? most : null;
}
