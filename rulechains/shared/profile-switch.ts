import { entityLabel } from '#engine/entities.ts';
import type { Message } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';

/** The name of the originator's device or asset profile, which is the relation of its messages. @throws Error for other originators and missing profiles. */
export async function profileName({ originator }: Message, wanted: 'DEVICE' | 'ASSET', entities: Services['entities']): Promise<string> {
  const label = entityLabel(wanted);
  if (originator.entityType !== wanted)
    throw new Error(`Unsupported originator type: ${entityLabel(originator.entityType)}! Only ${label} type is allowed.`);
  const profileId = (await entities.summary(originator))?.profileId;
  const profile = profileId ? await entities.find({ entityType: `${wanted}_PROFILE`, id: profileId }) : null;
  if (!profile) throw new Error(`${label} profile for entity id: ${originator.id} wasn't found!`);
  return profile.name;
}
